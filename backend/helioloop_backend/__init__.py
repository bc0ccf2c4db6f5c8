"""The Label Studio ML backend: web only, installs without torch and astropy."""
