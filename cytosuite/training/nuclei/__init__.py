"""Training on nuclei and cells: cases, patches with a camera, and the parts that networks share."""
