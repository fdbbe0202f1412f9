"""Physics of the simulations: shapes and their dye, tissue, light, camera, labels."""
