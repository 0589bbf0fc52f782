"""What holds for every test, examples in docstrings included."""

from __future__ import annotations

import numpy as np
import pytest

import rfgraph
from rfgraph.ops import registry

pytest_plugins = ["pytester"]


# What takes long, by the beginning of its name: `pytest` alone leaves it out (see `markers` in
# pyproject.toml), and what it looks at is looked at by others too, in less breadth. Of what is
# tested in parts by default (`tests.chunks`) the marks stand beside it.
SLOW = (
    # Thousands of random graphs, and all of ONNX's own cases, which take long to be made.
    "tests/backend/test_backend.py",
    "tests/test_prune_attention.py::test_a_mask_beside_a_bias",
    "tests/test_prune_attention.py::test_biases_of_grouped_queries",
    "tests/test_prune_attention.py::test_half_precision_is_compared_without_a_warning",
    "tests/test_shape_rules.py::test_backend_cases",
    "tests/fuzz/",
    "tests/oracle/test_cases.py::test_claims_of_the_others",
    "tests/oracle/test_control_flow.py::test_claims_are_what_is_seen[1",
    "tests/oracle/test_control_flow.py::test_claims_are_what_is_seen[50",
    "tests/oracle/test_generate.py::test_everything_occurs",
    "tests/oracle/test_generate.py::test_no_input_is_too_large",
    "tests/oracle/test_generate.py::test_quirks_are_drawn_only_when_asked_for",
    "tests/oracle/test_pruned_graphs.py",
    "tests/oracle/test_random_graphs.py",
    "tests/test_explain.py::test_explanations_of_random_graphs[50",
    "tests/test_explain.py::test_explanations_of_control_flow[50",
    "tests/test_paths.py::test_a_path_to_all_of_the_support[50",
    "tests/test_paths.py::test_equal_to_the_jacobian[50",
    "tests/validation/test_poison.py::test_control_flow_and_sequences_are_kept_as_they_are[4",
    # Errors planted in every operator.
    "tests/test_mutation.py::test_no_mutant_survives",
    "tests/validation/test_teeth.py",
    "tests/validation/test_poison.py::test_nan_shows_what_is_read",
    # All models, and random nets, in every way.
    "tests/checks/test_causal_lengths.py::test_any_length[layers5",
    "tests/checks/test_causal_lengths.py::test_any_length[layers6",
    "tests/checks/test_causal_lengths.py::test_any_length[layers7",
    "tests/checks/test_checks.py::test_published_models_are_as_they_should_be",
    "tests/render/test_absurd_names.py::test_comparisons",
    "tests/render/test_absurd_names.py::test_reports",
    "tests/render/test_formats.py::test_every_model",
    "tests/report/test_browser.py",
    "tests/report/test_interpreter.py",
    "tests/report/test_netron.py",
    "tests/report/test_page.py::test_a_report",
    "tests/report/test_page.py::test_on_this_machine_alone",
    "tests/test_closed_form.py::test_interior_units",
    "tests/test_flow.py::test_answers_hold_where_constants_cut_nothing",
    "tests/test_flow.py::test_no_analysis_changes_reads",
    "tests/test_flow.py::test_shared_answers",
    "tests/test_held.py::test_the_check_names_the_mask",
    "tests/test_held.py::test_the_configuration",
    "tests/test_local_global.py::test_bounds_of_random_nets",
    "tests/test_local_global.py::test_closed_forms_of_random_nets",
    "tests/test_models.py::test_sound_at_every_unit[light_vgg19",
    "tests/test_optimised.py::test_quantised_models_see_the_same",
    "tests/test_prune_attention.py::test_masks_over_a_past[1",
    "tests/test_prune_attention.py::test_rows_of_grouped_queries",
    "tests/test_prune_attention.py::test_scores_that_a_graph_masks[number1",
    "tests/test_prune_attention.py::test_scores_that_a_graph_masks[number2",
    "tests/test_ranges.py::test_models",
    "tests/tiling/test_equality.py::test_what_is_claimed[groups",
    "tests/tiling/test_equality.py::test_what_is_claimed[places as columns",
    "tests/tiling/test_equality.py::test_what_is_claimed[softmax",
    "tests/tiling/test_equality.py::test_what_is_claimed[transposed",
    "tests/tiling/test_equality.py::test_what_is_claimed[twice",
    "tests/tiling/test_local.py::test_gates_of_a_published_net",
    "tests/streaming/test_convert.py::test_as_large_as_published",
    "tests/streaming/test_convert.py::test_it_is_a_model_as_any_other",
    "tests/streaming/test_convert.py::test_many_random_nets",
    "tests/streaming/test_plan.py::test_the_table_of_models",
    "tests/tiling/test_tiling.py::test_large_models",
    "tests/tiling/test_tiling.py::test_many_random_nets",
    "tests/tiling/test_turned.py::test_flipped_and_back[2",
    "tests/tiling/test_verify.py::test_a_wrong_plan_is_found[changed1",
    "tests/tiling/test_verify.py::test_a_wrong_plan_is_found[changed2",
    "tests/tiling/test_verify.py::test_models[unet",
    "tests/validation/test_validate.py::test_every_unit_of_every_value",
    # Installations, clusters, and processes that are waited for.
    "tests/checks/test_suite.py::test_control_c_at_the_command_line",
    "tests/test_bad_input.py::test_functions_that_double_thirty_times",
    "tests/test_pytest_plugin.py::test_beside_other_tests",
    "tests/test_action.py::test_it_installs_itself",
    "tests/test_docs.py::test_a_command_in_a_sentence",
    "tests/test_docs.py::test_every_block_runs_in_order_in_a_fresh_clone",
    "tests/test_docs.py::test_what_the_first_command_prints",
    "tests/test_guard.py",
    "tests/test_pre_commit.py",
    "tests/test_release.py::test_what_is_released_works_without_a_compiler",
    "tests/validation/test_workers.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is `SLOW`."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _numbers_of_its_own(request: pytest.FixtureRequest) -> None:
    """The numbers that a test draws do not depend on which tests ran before it."""
    drawn = getattr(request, "module", None) and getattr(request.module, "RNG", None)
    if drawn is not None:
        drawn.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture(autouse=True)
def _examples(doctest_namespace: dict[str, object]) -> None:
    """Examples in docstrings begin where a user has imported what they are about."""
    doctest_namespace["rfgraph"] = rfgraph
    doctest_namespace["analyze"] = rfgraph.analyze


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transfers that a test registers go with it: tests run in any order."""
    monkeypatch.setattr(registry, "_RULES", registry.registered())


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs the tests may want colours: answers have none, unless a test asks for them."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
