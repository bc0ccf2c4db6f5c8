"""The Label Studio ML backend: a web server that is installed without torch and astropy."""
