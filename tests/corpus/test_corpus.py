"""Each case of the Markdown files gives exactly the findings that are written in it."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from corpus_cases import Case, every_case

from aebuild.results.catalogue import every_rule

CASES = every_case()
ROOT = Path(__file__).parent.parent.parent

# codes that no Markdown case can provoke, and the test that does
ELSEWHERE = {
    **dict.fromkeys(("AE430", "AE432", "AE433"), "test_data_categories.py"), "AE434": "test_data_time.py",
    **dict.fromkeys(("AE435", "AE436"), "test_any_size.py"), "AE860": "test_streams.py::test_what_looks_on_is_refused_with_the_reason",
    "AE854": "test_pretrained.py", "AE855": "test_pretrained.py", "AE438": "test_targets.py",
    "AE864": "test_image_conditions.py", "AE866": "test_data_video.py", "AE867": "test_data_video.py",
    "AE437": "test_targets.py::test_a_run_takes_large_and_colourful_samples_or_those_that_its_encoder_takes",
    **dict.fromkeys(("AE002", "AE007"), "test_source.py::test_refusals"),
    "AE008": "test_source.py::test_without_libyaml_it_says_what_to_install",
    "AE842": "test_budget.py::test_from_the_command_line", "AE844": "test_budget.py::test_what_fits_in_no_width_is_refused",
    "AE845": "test_mending.py::test_what_is_no_file_of_the_users_is_refused",
    "AE115": "test_front.py::test_an_endless_chain_is_refused",
    "AE121": "test_cli_specs.py::test_a_name_that_is_not_shipped_proposes_the_nearest",
    **dict.fromkeys(("AE123", "AE124", "AE125", "AE126", "AE127"), "test_plugins.py::test_what_is_wrong_with_a_plugin_is_said_at_its_line"),
    "AE122": "test_plugins.py::test_what_is_no_file_is_said", "AE871": "test_check_part.py::test_an_installed_plug_in_is_named",
    "AE128": "test_plugins.py::test_an_exception_of_a_part_is_told_at_its_line",
    **dict.fromkeys(("AE348", "AE349", "AE371"), "test_plugin_parts.py::test_what_does_not_fit_is_refused"),
    "AE386": "test_distillation.py", "AE387": "test_judge.py", "AE388": "test_judge.py", **dict.fromkeys(("AE597", "AE598", "AE389"), "test_health.py"),
    "AE520": "test_passes.py::test_a_phase_begins_with_the_weights_of_a_run",
    "AE303": "test_chain.py::test_a_sequence_of_another_length_than_the_grid_is_refused",
    "AE404": "test_data_arrays.py", "AE405": "test_data_tables.py", "AE406": "test_data_images.py", "AE408": "test_data_arrays.py",
    "AE410": "test_data_arrays.py", "AE411": "test_data_arrays.py", "AE412": "test_data_arrays.py", "AE414": "test_data_download.py",
    "AE415": "test_data_tables.py", "AE418": "test_data_rasters.py", "AE419": "test_data_depth.py", "AE417": "test_data_scaling.py",
    "AE456": "test_data_arrow.py::test_what_is_no_arrow_file_is_said", "AE423": "test_data_spread.py", **dict.fromkeys(("AE470", "AE471", "AE472"), "test_tokens.py"),
    "AE473": "test_lengths.py", **dict.fromkeys(("AE451", "AE452", "AE453"), "test_data_text.py"), "AE455": "test_data_audio.py",
    **dict.fromkeys(("AE370", "AE372"), "test_unequal_lengths.py"),
    "AE501": "test_run.py::test_a_used_directory_is_refused", "AE502": "test_run.py::test_what_is_not_a_run_is_named",
    "AE503": "test_checkpoint.py::test_nothing_saved_is_said", "AE505": "test_run.py::test_a_second_lock_in_one_process_is_busy_too",
    "AE506": "test_train.py::test_sigterm_saves_and_exits_143", "AE508": "test_execution.py::test_no_plan_to_take", "AE507": "test_chain.py::test_a_checkpoint_of_another_model_is_refused",
    "AE511": "test_revision.py::test_a_refusal_names_the_paths_and_changes_nothing",
    "AE512": "test_revision.py::test_a_refusal_names_the_paths_and_changes_nothing",
    "AE513": "test_supervise.py::test_there_is_an_end_to_retries",
    "AE514": "test_sameness.py::test_changed_data_are_refused_and_taken_if_allowed",
    **dict.fromkeys(("AE881", "AE882"), "test_serving.py::test_an_address_that_is_taken_and_a_package_that_is_not_there"),
    "AE883": "test_serving.py::test_what_is_wrong_is_told_with_its_place",
    "AE884": "test_serving.py::test_beyond_its_queue_and_time_it_says_so_and_goes_on",
    "AE885": "test_targets.py::test_new_inputs_need_no_target_but_to_be_judged",
    "AE521": "test_hub.py::test_an_exported_folder_is_evaluated_like_its_run",
    **dict.fromkeys(("AE522", "AE525"), "test_hub.py::test_no_network_and_no_package_are_told"),
    **dict.fromkeys(("AE523", "AE524"), "test_hub.py::test_what_the_hub_refuses_is_told"),
    "AE530": "test_ejected.py::test_a_module_of_a_plug_in_is_refused",
    **dict.fromkeys(("AE531", "AE532", "AE533", "AE534", "AE535"), "test_export.py"),
    **dict.fromkeys(("AE540", "AE541"), "test_tasks.py"),
    "AE480": "test_inference.py::test_values_in_other_units_or_shapes_are_refused",
    "AE481": "test_inference.py::test_codes_of_another_model_are_refused",
    "AE570": "test_inference.py::test_an_output_that_is_there_is_kept_unless_told_otherwise",
    "AE571": "test_inference.py::test_what_cannot_be_done_is_said_in_a_sentence",
    "AE572": "test_inference.py::test_what_cannot_be_done_is_said_in_a_sentence",
    "AE573": "test_inference.py::test_what_cannot_be_done_is_said_in_a_sentence",
    "AE574": "test_inference.py::test_what_cannot_be_done_is_said_in_a_sentence",
    "AE575": "test_inference.py::test_what_cannot_be_done_is_said_in_a_sentence",
    "AE576": "test_conditions.py::test_what_is_not_given_is_said",
    **dict.fromkeys((f"AE{code}" for code in range(580, 597)), "test_doctor.py"),
    "AE552": "test_diagram.py::test_a_png_without_its_package_names_the_command",
    "AE553": "test_init.py::test_a_file_is_replaced_by_force_only",
    "AE555": "test_advise.py::test_a_goal_that_symbols_cannot_serve_is_refused",
    "AE554": "test_init.py::test_nothing_can_be_learned_from_too_little",
    "AE560": "test_trackers.py::test_a_tracker_that_is_not_installed",
    "AE559": "test_report.py::test_what_is_no_run_is_said",
    "AE550": "test_runs.py::test_a_folder_that_is_not_there",
    "AE551": "test_compare.py::test_other_likelihoods_do_not_compare_but_squared_errors_do",
    "AE606": "test_bakeoff.py::test_what_is_uneven_or_another_comparison_is_refused",
    "AE607": "test_bakeoff.py::test_what_is_uneven_or_another_comparison_is_refused",
    "AE608": "test_bakeoff.py::test_what_is_uneven_or_another_comparison_is_refused",
    "AE609": "test_bakeoff.py::test_a_training_that_fails_is_reported_and_stops_no_other",
    "AE615": "test_bakeoff.py::test_matching_reaches_the_size_of_the_reference",
    "AE616": "test_sweep.py::test_a_variation_that_is_none_is_refused",
    "AE875": "test_bakeoff.py::test_specs_that_were_edited_or_lost_train_no_further_seeds",
    **dict.fromkeys(("AE873", "AE874"), "test_sweep.py::test_what_would_change_or_judge_nothing_is_refused"),
    "AE617": "test_sweep.py::test_a_missing_package_is_one_message_with_the_command",
    "AE515": "test_sameness.py::test_the_same_data_at_another_place_are_no_change",
    "AE516": "test_run.py::test_a_name_that_cannot_be_shown_or_kept_is_refused",
    "AE517": "test_plugins.py::test_a_run_knows_its_plugins_and_nothing_is_run_by_itself",
    "AE518": "test_plugins.py::test_a_changed_plugin_is_noted_and_refused_on_a_resume",
    "AE604": "test_process.py::test_an_output_that_takes_nothing_is_a_resource_error",
    "AE605": "test_process.py::test_a_folder_that_is_gone_is_said",
    "AE601": "test_train.py::test_out_of_memory_is_a_resource_error",
    "AE602": "test_run.py::test_a_folder_that_cannot_be_written_is_a_resource_error",
    "AE603": "test_train.py::test_cuda_without_a_gpu_is_refused",
    "AE610": "test_devices.py::test_a_lost_process_ends_all_and_a_resume_goes_on",
    "AE611": "test_devices.py::test_more_processes_than_gpus_are_refused",
    "AE614": "test_devices.py::test_processes_without_a_bound_are_refused",
    "AE612": "test_devices.py::test_a_world_of_another_size_is_refused",
    "AE613": "test_devices.py::test_what_cannot_be_sharded_is_refused", "AE701": "test_train.py::test_nan_names_step_module_and_term",
    "AE702": "test_verdict.py::test_the_cause_is_found_and_its_fix_can_be_used",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file.stem}: {case.title}")
def test_a_bad_spec_gives_exactly_the_findings_written_in_it(case: Case, tmp_path, real_data):
    expected, found = case.check(tmp_path)
    assert len(found) == len(expected), found
    for wanted, got in zip(expected, found, strict=True):
        assert wanted == got or fnmatchcase(got, re.sub(r"([\\[?*])", r"[\1]", wanted).replace("…", "*")), (wanted, got)


def test_every_code_is_provoked_here_or_by_the_test_that_is_named():
    shown = {code for case in CASES for block in case.blocks for _, mark in block.expected for code in re.findall(r"\bAE\d{3}\b", mark)}
    missing = {code: rule.title for code, rule in every_rule().items() if code not in shown and not _provoked_elsewhere(code)}
    assert missing == {}
    assert set(ELSEWHERE) & shown == set(), "a Markdown case shows it now"


def _provoked_elsewhere(code: str) -> bool:
    """True if the named test exists; a file without a test's name must have the code in it."""
    file, _, test = ELSEWHERE.get(code, "").partition("::")
    found = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path.name == file]
    return any(f"def {test}(" in text if test else f'"{code}"' in text for text in found)
