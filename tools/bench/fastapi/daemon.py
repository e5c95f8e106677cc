"""What `./dev bench api` compares the REST interface with: the published design's daemon, minimal. FastAPI, PostgreSQL and JWT
as their documentation has them: OAuth2PasswordBearer and PyJWT (FastAPI, "OAuth2 with Password (and hashing), Bearer with
JWT tokens"), a pool of asyncpg, a response model. It lists the devices of a token's holder, and has their tables.

  DATABASE_URL=postgres://… SECRET=… uvicorn daemon:app --loop uvloop --http httptools --no-access-log
"""

import os
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Annotated

import asyncpg
import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

SECRET = os.environ["SECRET"]
ALGORITHM = "HS256"
TABLES = """
CREATE TABLE IF NOT EXISTS users (id BIGSERIAL PRIMARY KEY, username TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL,
    is_active BOOLEAN NOT NULL DEFAULT TRUE);
CREATE TABLE IF NOT EXISTS peers (id BIGSERIAL PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES users (id), device_label TEXT NOT NULL,
    vpn_ip TEXT NOT NULL, public_key TEXT NOT NULL UNIQUE, private_key TEXT NOT NULL, mesh_routing BOOLEAN NOT NULL,
    adguard_client_id TEXT NOT NULL, dns_filtering_policy TEXT NOT NULL, created_at BIGINT NOT NULL, last_handshake BIGINT,
    endpoint TEXT, rx BIGINT NOT NULL DEFAULT 0, tx BIGINT NOT NULL DEFAULT 0, UNIQUE (user_id, device_label));
CREATE INDEX IF NOT EXISTS peers_of_user ON peers (user_id);
"""
COLUMNS = "id, user_id, device_label, vpn_ip, public_key, mesh_routing, adguard_client_id, dns_filtering_policy, created_at, " \
          "last_handshake, endpoint, rx, tx"


class User(BaseModel):
    id: int
    username: str


class Peer(BaseModel):
    id: int
    user_id: int
    device_label: str
    vpn_ip: str
    public_key: str
    mesh_routing: bool
    adguard_client_id: str
    dns_filtering_policy: str
    created_at: int
    last_handshake: int | None
    endpoint: str | None
    rx: int
    tx: int


class Peers(BaseModel):
    status: str
    peers: list[Peer]


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10) as pool:
        await pool.execute(TABLES)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="api/auth/login")


def create_access_token(username: str) -> str:
    expires = datetime.now(timezone.utc) + timedelta(minutes=15)
    return jwt.encode({"sub": username, "exp": expires}, SECRET, algorithm=ALGORITHM)


async def get_current_user(request: Request, token: Annotated[str, Depends(oauth2_scheme)]) -> User:
    refused = HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})
    try:
        username = jwt.decode(token, SECRET, algorithms=[ALGORITHM]).get("sub")
    except jwt.InvalidTokenError:
        raise refused
    row = await request.app.state.pool.fetchrow("SELECT id, username FROM users WHERE username = $1 AND is_active", username)
    if row is None:
        raise refused
    return User(**row)


@app.get("/api/peers")
async def peers(request: Request, user: Annotated[User, Depends(get_current_user)]) -> Peers:
    rows = await request.app.state.pool.fetch(f"SELECT {COLUMNS} FROM peers WHERE user_id = $1 ORDER BY id", user.id)
    return Peers(status="success", peers=[Peer(**row) for row in rows])
