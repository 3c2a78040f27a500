"""The API as the official JavaScript client sees it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.running import Running

SCRIPT = """
import OpenAI from "openai";
const client = new OpenAI({ baseURL: process.argv[2] + "/v1", apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Is the river calm?" }];
const own = { emotions: ["calm"], emotion_bias: { calm: 0.5 } };
const fields = { model: "tiny-llama", messages, max_tokens: 6, temperature: 0, ...own };
const whole = await client.chat.completions.create(fields);
let streamed = "", seen = 0;
for await (const chunk of await client.chat.completions.create({ ...fields, stream: true })) {
  streamed += chunk.choices[0].delta.content ?? "";
  seen += chunk.choices[0].affekt?.z ? 1 : 0;
}
let refused = "";
try {
  await client.chat.completions.create({ ...fields, emotion_bias: { clam: 1 } });
} catch (error) {
  refused = error.code;
}
console.log(JSON.stringify({ whole: whole.choices[0].message.content, streamed, seen, refused }));
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node here")
    folder = tmp_path_factory.mktemp("js")
    (folder / "ask.mjs").write_text(SCRIPT)
    try:
        got = subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "openai"], cwd=folder, timeout=120, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer")
    if got.returncode:
        pytest.skip("the npm package openai cannot be had here")
    return folder


def test_the_javascript_client(server: Running, package: Path) -> None:
    done = subprocess.run(
        ["node", "ask.mjs", server.url], cwd=package, capture_output=True, text=True, check=True, timeout=120
    )
    said = json.loads(done.stdout)
    expected = server.chat("Is the river calm?", max_tokens=6, emotion_bias={"calm": 0.5}).json()
    assert said["whole"] == said["streamed"] == expected["choices"][0]["message"]["content"]
    assert said["seen"] >= 1 and said["refused"] == "unknown_concept"
