"""The GPU benchmark: training and masking of the authors' CNN, on made videos. Read `__main__` first."""
