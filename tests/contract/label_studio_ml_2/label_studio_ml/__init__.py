"""A stand-in for label-studio-ml 2.x, written from the behaviour of its repository, with the faults that matter here.

Only its name, module layout and behaviour are those of the library. On `PYTHONPATH` it hides an installed 1.0.9.
"""

package_name = "label-studio-ml"
__version__ = "2.0.1.dev0"
