"""helioloop's core: the science and the shared words. It knows no Flask and no Label Studio client."""

__version__ = "0.1.0"
