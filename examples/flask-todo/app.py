"""The To-Do List in Flask: the same app as `carafe todo`, with no telemetry in it."""

import os
import unicodedata
from pathlib import Path

from flask import Flask, redirect, render_template, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.exceptions import HTTPException

MAX_TITLE_CHARS = 200
MAX_TASKS = 1_000
MAX_FORM_BYTES = 16 * 1024

db = SQLAlchemy()


class Task(db.Model):
    """One line of the list."""

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(db.String(MAX_TITLE_CHARS))


def create_app() -> Flask:
    """The app, with its tasks in the file that TODO_DB names, else in instance/todo.db."""
    app = Flask(__name__)
    database = Path(os.environ.get("TODO_DB") or Path(app.instance_path) / "todo.db").absolute()
    database.parent.mkdir(parents=True, exist_ok=True)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{database}"
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    db.init_app(app)
    with app.app_context():
        create_schema()

    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/add", view_func=add, methods=["POST"])
    app.add_url_rule("/delete/<int:task_id>", view_func=delete, methods=["POST"])
    app.register_error_handler(HTTPException, http_error)
    return app


def create_schema() -> None:
    """Creates the table; the workers of one server may all do so at once."""
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS task"
            f" (id INTEGER PRIMARY KEY AUTOINCREMENT, title VARCHAR({MAX_TITLE_CHARS}) NOT NULL)"
        )


def page(message: str = "", typed: str = "") -> str:
    tasks = db.session.scalars(db.select(Task).order_by(Task.id)).all()
    return render_template(
        "index.html", tasks=tasks, message=message, typed=typed, max_chars=MAX_TITLE_CHARS
    )


def index():
    return page()


def add():
    title = request.form["title"].strip()
    if not title:
        return page("Please write what there is to do.", title), 400
    if len(title) > MAX_TITLE_CHARS:
        message = f"That is {len(title)} characters long; a task has at most {MAX_TITLE_CHARS}."
        return page(message, title), 400
    if any(unicodedata.category(character) == "Cc" for character in title):
        return page("A task is one line of plain text, without control characters.", title), 400
    if db.session.scalar(db.select(db.func.count(Task.id))) >= MAX_TASKS:
        return page(f"The list is full ({MAX_TASKS} tasks); delete one first.", title), 409
    db.session.add(Task(title=title))
    db.session.commit()
    return redirect("/")


def delete(task_id: int):
    task = db.session.get(Task, task_id)
    if task is None:
        return page("There is no such task."), 404
    db.session.delete(task)
    db.session.commit()
    return redirect("/")


def http_error(error: HTTPException):
    return page(error.description or error.name), error.code


app = create_app()
