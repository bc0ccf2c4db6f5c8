"""Labels magnetogram videos with a CNN ensemble that learns from corrections. Imports no Flask, no Label Studio SDK."""

__version__ = "0.1.0"
