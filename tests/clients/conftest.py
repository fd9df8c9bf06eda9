"""Where the server is and what its models are called: set by run_clients.py."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "models"))


def wanted(name):
    value = os.environ.get(name)
    if not value:
        pytest.exit(f"{name} is not set: run tests/clients/run_clients.py", returncode=2)
    return value


@pytest.fixture(scope="session")
def base_url():
    return wanted("CLIENTS_BASE_URL")


@pytest.fixture(scope="session")
def chat_model():
    return wanted("CLIENTS_CHAT_MODEL")


@pytest.fixture(scope="session")
def embed_model():
    return wanted("CLIENTS_EMBED_MODEL")


@pytest.fixture(scope="session")
def models():
    """The folder tools/models wrote to."""
    return pathlib.Path(wanted("CLIENTS_MODELS"))
