"""Installed distributions for one test: directories to put on PYTHONPATH."""

import textwrap


def distribution(directory, name, *, version="1.0", entry_points=None, requires=(), modules=None):
    """Makes a distribution with those entry points ({group: {name: object}}) and modules
    ({name: source}) in `directory`, and returns what PYTHONPATH needs."""
    for module, source in (modules or {}).items():
        (directory / f"{module}.py").write_text(textwrap.dedent(source))
    metadata = directory / f"{name}-{version}.dist-info"
    metadata.mkdir()
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (metadata / "METADATA").write_text("\n".join(lines) + "\n")
    sections = [
        "\n".join([f"[{group}]", *(f"{key} = {value}" for key, value in points.items())])
        for group, points in (entry_points or {}).items()
    ]
    (metadata / "entry_points.txt").write_text("\n\n".join(sections) + "\n")
    return str(directory)
