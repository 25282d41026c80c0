from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from scenarios.presets import list_models, load_model
from sim.errors import InputError

# Parameters as the safetensors headers of the released checkpoints give them (unique tensors).
CHECKPOINT_PARAMS = {
    "mixtral-8x7b": 46_702_792_704,
    "mixtral-8x22b": 140_620_634_112,
    "phi-3.5-moe": 41_873_153_344,
    "olmoe-1b-7b": 6_919_161_856,
    "qwen1.5-moe-a2.7b": 14_315_784_192,
    "qwen3-30b-a3b": 30_532_122_624,
    "qwen3-235b-a22b": 235_093_634_560,
    "deepseek-v2-lite": 15_706_484_224,
    "deepseek-v3": 671_026_419_200,
    "gpt-oss-20b": 20_914_757_184,
    "gpt-oss-120b": 116_829_156_672,
    "switch-base-8": 619_339_008,
}

OURS = {"host-small", "host-fine", "tinymoe"}  # made up, for machines without a GPU; and trained by us
PUBLISHED = [name for name in list_models() if name not in OURS and not name.startswith("switch")]

# arXiv 2310.18859, table 1: fp32 size (its GB are GiB) and the share of it that is MoE.
SIDA = {8: (2.298, 0.780), 64: (14.112, 0.964), 128: (27.614, 0.982), 256: (54.62, 0.991)}


def test_every_model_of_the_field_has_a_preset() -> None:
    switches = {f"switch-base-{experts}{part}" for experts in SIDA for part in ("", "-encoder")}
    assert set(list_models()) == set(CHECKPOINT_PARAMS) | switches | OURS
    assert list_models() == sorted(list_models())


@pytest.mark.parametrize("name", CHECKPOINT_PARAMS)
def test_total_equals_the_checkpoint_to_the_parameter(name: str) -> None:
    assert load_model(name).total_params == CHECKPOINT_PARAMS[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_total_agrees_with_the_published_count(name: str) -> None:
    model = load_model(name)
    assert model.published_params is not None
    assert model.total_params == pytest.approx(model.published_params * 1e9, rel=0.003)


@pytest.mark.parametrize("name", PUBLISHED)
def test_active_parameters_agree_with_the_published_count_by_its_own_convention(name: str) -> None:
    model = load_model(name)
    assert model.published_active_params is not None
    embedding = model.embedding_params if model.published_active_with_embedding else 0
    assert model.active_params + embedding == pytest.approx(model.published_active_params * 1e9, rel=0.025)


@pytest.mark.parametrize("experts", SIDA)
def test_switch_sizes_agree_with_sida(experts: int) -> None:
    model = load_model(f"switch-base-{experts}")
    assert model.total_params * 4 / 2**30 == pytest.approx(SIDA[experts][0], rel=0.005)


@pytest.mark.parametrize("experts", SIDA)
def test_switch_moe_share_agrees_with_sida_if_moe_blocks_bring_their_self_attention(experts: int) -> None:
    """Experts alone are 73.1 % of base-8; the paper's 78.0 % holds 28 M more, as much as these attentions."""
    model = load_model(f"switch-base-{experts}")
    moe = model.n_slots_total * model.expert_params + model.n_moe_layers * model.attention.matrix_params(model.hidden)
    assert moe / model.total_params == pytest.approx(SIDA[experts][1], abs=0.004)


def test_expert_sizes_agree_with_published_ones() -> None:
    assert load_model("switch-base-128").expert_bytes("fp32") == 18 * 2**20
    assert load_model("gpt-oss-20b").expert_bytes("mxfp4") == pytest.approx(13.22e6, rel=1e-3)


def test_switch_alternates_dense_and_moe_blocks_in_both_stacks() -> None:
    model = load_model("switch-base-64")
    assert model.moe_layers == tuple(range(1, 24, 2))
    assert [model.has_cross_attention(layer) for layer in (0, 11, 12, 23)] == [False, False, True, True]


@pytest.mark.parametrize("experts", SIDA)
def test_a_switch_encoder_is_that_of_t5_base_with_experts_in_every_other_block(experts: int) -> None:
    whole, encoder = load_model(f"switch-base-{experts}"), load_model(f"switch-base-{experts}-encoder")
    assert encoder.n_slots_total * 2 == whole.n_slots_total
    assert encoder.expert_params == whole.expert_params
    dense_instead = encoder.resident_params + encoder.n_moe_layers * (encoder.dense_params - encoder.router_params)
    assert dense_instead == 109_628_544  # T5EncoderModel of t5-base


@pytest.mark.parametrize("name", list_models())
def test_file_name_model_name_and_source_agree(name: str) -> None:
    assert load_model(name).name == name
    assert load_model(name).source


def test_names_are_found_in_any_case() -> None:
    assert load_model("Mixtral-8x7B") == load_model("mixtral-8x7b")


def test_loading_a_preset_takes_less_than_20_ms() -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        load_model("deepseek-v3")
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.020


def test_a_model_file_of_ones_own_is_loaded(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump(load_model("gpt-oss-20b").to_dict() | {"name": "own", "n_experts": 16}))
    assert load_model(own).n_experts == 16
    assert load_model(str(own)).name == "own"


def test_a_config_json_or_its_folder_is_loaded(tmp_path: Path, mixtral_config: str) -> None:
    folder = tmp_path / "my-mixtral"
    folder.mkdir()
    (folder / "config.json").write_text(mixtral_config)
    assert load_model(folder) == load_model(folder / "config.json")
    assert load_model(folder).name == "my-mixtral"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mixtral-8x7", "unknown model.*did you mean mixtral-8x7b"),
        ("llama", "unknown model.*known: deepseek-v2-lite, .*or a path to a config.json"),
        ("", "unknown model"),
        ("nowhere/config.json", "nowhere/config.json: cannot be read"),
        ("nowhere/model.yaml", "nowhere/model.yaml: cannot be read"),
    ],
)
def test_unknown_models_are_refused_with_a_remedy(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "is not YAML"),
        ("- 1\n- 2\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("name: x\n", "n_layers: missing"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
        ("a: \x00", "is not YAML"),
    ],
)
def test_ill_written_model_files_are_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"bad.yaml: .*{message}") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_a_binary_model_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match=r"bad.yaml: cannot be read"):
        load_model(path)


@pytest.fixture
def mixtral_config() -> str:
    return """{"model_type": "mixtral", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100, "num_local_experts": 8,
        "num_experts_per_tok": 2, "sliding_window": null}"""
