"""One module for each library: `instrument(module)` hooks it, `uninstrument()` undoes that."""
