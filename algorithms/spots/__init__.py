"""Classical detection of spots: Laplacian of Gaussian, threshold by the noise, Gaussian fits."""
