"""An application into the device: the image is proven before anything is sent, and read back afterwards."""
