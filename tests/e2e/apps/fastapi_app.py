"""The contract of README.md in FastAPI."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{number}")
async def read(number: int):
    return f"item {number}"


@app.post("/items/{number}", status_code=201)
async def create(number: int):
    return f"made {number}"
