"""The To-Do app of examples/flask-todo with two pages more, as plain as they come."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/flask-todo"))

from app import Task, create_app, db  # noqa: E402

app = create_app()
with app.app_context():
    if not db.session.scalar(db.select(db.func.count(Task.id))):
        db.session.add_all(Task(title=f"Task {number}") for number in range(10))
        db.session.commit()


@app.get("/ping")
def ping():
    return "pong"


@app.get("/ten")
def ten():
    """Ten queries and no template."""
    titles = [db.session.get(Task, number + 1, populate_existing=True) for number in range(10)]
    return ", ".join(task.title for task in titles)
