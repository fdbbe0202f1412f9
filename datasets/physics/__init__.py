"""Physics of the simulations: shapes and what glows in them, tissue, light, camera, labels."""
