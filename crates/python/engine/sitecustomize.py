# Starts Carafe's engine in every Python of the app, then runs the sitecustomize that the app's own
# environment has. Any interpreter may read this file, old ones too: keep to the common syntax.
import sys


def _start():
    if "carafe_engine" in sys.modules:
        return
    if sys.implementation.name != "cpython" or sys.version_info < (3, 9):
        return
    try:
        import carafe_engine

        carafe_engine.begin()
    except Exception as error:
        # Without the native half nothing can be reported but here, once.
        sys.stderr.write("carafe: the Python engine is off in this process: %s\n" % (error,))


def _continue():
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path or ".") != here]
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    from importlib.util import module_from_spec

    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if getattr(sys, "implementation", None) is not None:
    _start()
    _continue()
