"""A FastAPI app with one plain route and one with a parameter."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/ping")
async def ping():
    return {"answer": "pong"}


@app.get("/items/{item_id}")
async def item(item_id: int):
    return {"item": item_id}
