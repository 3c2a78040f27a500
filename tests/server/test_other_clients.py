"""The API as clients see it that share nothing with the official one: Hugging Face's, and curl."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.server.running import Running
from tests.server.test_openai_client import MESSAGES, alone

OWN = {"emotion_bias": {"calm": 0.5}, "emotions": ["calm"]}


@pytest.fixture(scope="module")
def client(server: Running) -> InferenceClient:
    return InferenceClient(base_url=server.url + "/v1", api_key="none")


def test_a_chat(server: Running, client: InferenceClient) -> None:
    got = client.chat.completions.create(MESSAGES, model="tiny-llama", max_tokens=7, temperature=0.0)
    expected = alone(server, MESSAGES, 7)
    assert got.choices[0].message.content == expected.text
    assert got.usage.completion_tokens == len(expected.tokens)
    assert got.choices[0].finish_reason in ("length", "stop")


def test_a_stream_with_a_bias_and_readings(server: Running, client: InferenceClient) -> None:
    chunks = list(
        client.chat_completion(
            MESSAGES, model="tiny-llama", max_tokens=7, temperature=0.0, stream=True, extra_body=OWN
        )
    )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == alone(server, MESSAGES, 7, OWN["emotion_bias"]).text
    # A client that does not know the field carries it or drops it, and goes on.
    told = [getattr(chunk.choices[0], "affekt", None) for chunk in chunks]
    assert "calm" in told[0]["z"] and "calm" in told[-1]["summary"]


def test_what_is_wrong_is_told(client: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError, match="did you mean 'calm'"):
        client.chat_completion(
            MESSAGES, model="tiny-llama", max_tokens=2, extra_body={"emotion_bias": {"clam": 1}}
        )


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl(server: Running) -> None:
    body = {"model": "tiny-llama", "messages": MESSAGES, "max_tokens": 5, "temperature": 0, **OWN}

    def curl(path: str, body: dict[str, object], *options: str) -> str:
        header, url = "Content-Type: application/json", f"{server.url}{path}"
        command = ["curl", "-sS", "-m", "60", *options, url, "-H", header, "-d", json.dumps(body)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    whole = json.loads(curl("/v1/chat/completions", body))["choices"][0]
    expected = alone(server, MESSAGES, 5, OWN["emotion_bias"]).text
    assert whole["message"]["content"] == expected and "calm" in whole["affekt"]["summary"]
    lines = curl("/v1/chat/completions", {**body, "stream": True}, "-N").splitlines()
    assert lines[-2:] == ["data: [DONE]", ""]
    pieces = [json.loads(line[6:])["choices"][0] for line in lines if line.startswith("data: {")]
    assert "".join(piece["delta"].get("content", "") for piece in pieces) == expected
    status = curl("/v1/chat/completions", {"messages": []}, "-o", "/dev/null", "-w", "%{http_code}")
    assert status == "400"
