r"""What somebody can do to the API who wants harm, row by row, with the tests that prove what is promised.

F14 two writers of one file: test_of_those_who_saw_the_same_one_writes_and_the_others_are_told
   test_many_writers_lose_no_update test_a_stale_etag_writes_nothing test_two_writers_do_not_meet
   test_writes_and_commits_of_a_person_lose_nothing test_writes_and_a_person_who_pulls_with_rebase_lose_nothing
   test_writes_that_are_pushed_and_pushes_from_elsewhere_lose_nothing test_two_controllers_in_one_work_tree_lose_nothing
   test_writes_go_on_beside_an_editor_and_lose_nothing test_an_edit_in_between_is_a_conflict_and_stays
   test_an_edit_of_a_moment_ago_is_kept
F15 a write that is cut off, or finds no room:
   test_a_controller_that_dies_while_it_writes_leaves_the_old_file_or_the_new_one
   test_killed_at_any_point_the_file_is_whole_and_the_next_write_works
   test_killed_at_any_system_call_the_file_is_old_or_new
   test_after_a_kill_the_repository_is_whole_and_the_next_write_works
   test_a_disk_that_takes_nothing_loses_nothing_and_the_next_write_works test_a_failed_write_leaves_nothing_behind
   test_each_outcome_has_its_answer
J1 slowness and crowds of connections: test_who_says_nothing_makes_room_for_who_asks
   test_streams_of_somebody_known_are_not_cut_by_a_crowd test_where_all_are_busy_the_newcomer_is_cut
   test_a_connection_that_never_completes_a_request_is_cut test_a_body_that_trickles_is_408
   test_a_client_that_does_not_read_is_cut test_attacks_at_the_same_time_cost_nobody_anything
   test_handshakes_that_hang_hold_no_more_descriptors_than_are_allowed
   test_slow_heads_slow_bodies_and_large_ones_have_the_same_limits
J2 large, deep, crowded, endless, compressed: test_a_body_that_says_it_is_too_large_is_413_unread
   test_a_body_without_end_is_413_and_cut test_tiny_chunks_are_a_body_like_any_other test_a_compressed_body_is_415
   test_a_body_of_very_many_values_is_413_before_anybody_judges_them
   test_of_very_many_faults_so_many_are_told_as_a_person_reads
   test_a_deep_body_costs_nothing_where_it_does_not_fit
   test_a_very_deep_body_is_refused_before_anybody_goes_into_it test_what_is_not_http_is_400_without_its_bytes
   test_what_is_not_json_is_400 test_half_a_body_does_nothing_and_ends_without_a_word_to_nobody
   test_json_that_does_not_fit_is_422_with_all_faults test_a_body_that_is_none_is_told_apart
J3 streams without end or reader: test_a_follower_that_does_not_read_is_dropped_with_a_last_word
   test_a_follower_that_never_reads_again_is_cut test_no_stream_begins_beyond_the_limit
   test_a_client_that_reads_nothing_is_dropped_whatever_it_follows
J4 a flood of writes: test_a_flood_of_writes_of_a_token_is_turned_away_and_everything_else_goes_on
   test_a_token_writes_so_often_and_reads_as_often_as_it_likes
   test_writes_beyond_the_rate_leave_no_trace_but_one_line
J5 what can be read in two ways: test_a_body_whose_end_is_a_matter_of_opinion_is_400_and_closes
   test_chunks_that_are_none_are_400 test_heads_that_could_be_read_in_two_ways_are_400 test_another_version_is_505
   test_an_upgrade_is_answered_as_without_and_what_follows_it_is_never_a_request
   test_a_refused_request_takes_those_behind_it_along test_more_requests_than_are_read_ahead_are_all_answered_in_order
   test_a_target_that_is_no_path_is_400 test_everything_else_is_404 test_another_method_is_405_with_those_there_are
J6 sent again: test_what_is_sent_again_is_done_once_and_answered_the_same
   test_a_spec_that_was_created_is_answered_as_created_again
   test_who_waited_in_vain_is_told_of_the_same_operation test_what_was_refused_may_be_tried_again
J8 generated requests: test_no_generated_request_finds_an_answer_that_is_not_declared
K1 without a token: test_each_role_opens_exactly_its_routes_streams_too
   test_tokens_decide_who_may_do_what_and_revoking_holds_at_once
   test_only_the_probes_are_public_and_nothing_with_an_effect_is_for_viewers
K2 roles: test_each_role_opens_exactly_its_routes_streams_too test_a_role_opens_exactly_the_routes_of_its_rank
   test_tokens_decide_who_may_do_what_and_revoking_holds_at_once
K3 listening elsewhere: test_where_others_can_reach_it_there_is_tls_or_a_word_that_there_is_none
   test_where_others_can_reach_it_there_is_tls_and_a_first_token_that_only_its_owner_reads
K4 the first who comes: test_the_first_token_is_made_once_and_again_only_when_no_living_one_is_an_admins
   test_where_others_can_reach_it_there_is_tls_and_a_first_token_that_only_its_owner_reads
K5 guessing: test_whoever_fails_too_often_waits_the_right_token_as_well test_attempts_at_the_same_time_get_no_further
   test_failures_are_counted_by_user_or_network test_a_flood_of_peers_fills_no_memory_and_locks_nobody_out
   test_a_token_is_kept_as_a_hash_in_a_file_of_ours_alone test_what_is_no_token_is_401_and_says_nothing_of_it
   test_secrets_are_where_they_must_be_and_nowhere_else
K6 a token that was taken away: test_a_stream_is_cut_when_its_token_ends
   test_a_revoked_token_is_refused_on_the_connection_that_it_was_good_on
   test_tokens_decide_who_may_do_what_and_revoking_holds_at_once
K7 pages of other sites: test_another_origin_is_403 test_other_sites_may_only_navigate
   test_a_form_of_another_page_cannot_act_even_without_its_headers test_no_answer_allows_other_origins
   test_a_page_that_came_without_tls_is_another_origin
   test_a_foreign_origin_is_refused_and_nothing_is_done
K8 names that lead to us: test_another_name_is_421 test_no_name_is_refused_and_so_are_two
   test_the_name_is_checked_before_everything_else test_a_foreign_host_name_is_misdirected
K11 lines of the log: test_a_value_can_neither_break_the_line_nor_be_misread test_a_reason_is_one_plain_line
   test_any_other_request_id_is_replaced
K12 paths in names: test_everything_else_is_404 test_a_name_that_is_no_worker_name_is_just_unknown
   test_a_name_that_is_none_is_refused test_no_link_is_followed_and_no_other_path_is_read
   test_attacks_at_the_same_time_cost_nobody_anything test_what_is_no_id_finds_nothing_and_touches_nothing
K18 secrets: test_secrets_are_where_they_must_be_and_nowhere_else test_a_bug_of_ours_is_500_with_an_id_and_nothing_else
   test_the_sign_for_a_hidden_value_is_never_written test_the_state_directory_is_private
K20 the socket's file: test_a_unix_socket_answers_is_private_and_goes_with_the_server
   test_another_user_on_the_unix_socket_is_refused_by_credentials_too test_what_is_no_socket_is_left_alone
   test_a_socket_of_another_user_is_left_alone test_a_unix_socket_serves_the_command_line_and_is_private
K30 what a browser makes of an answer: test_every_answer_carries_the_protective_headers
   test_streams_carry_the_protective_headers_too

Not here, because there is none of it yet: pages of our own (J7, K9), websockets, requests that we send (K17).
"""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = [
    "F14", "F15", *(f"J{number}" for number in (1, 2, 3, 4, 5, 6, 8)), *(f"K{number}" for number in range(1, 9)),
    "K11", "K12", "K18", "K20", "K30",
]  # fmt: skip


def test_every_test_that_the_table_of_attacks_names_is_there() -> None:
    defined = set()
    for path in TESTS.rglob("test_*.py"):
        defined |= set(re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE))
    assert __doc__ is not None
    rows = re.split(r"^([FJK]\d+) ", __doc__, flags=re.MULTILINE)[1:]
    named = {row: re.findall(r"test_\w+", text) for row, text in zip(rows[::2], rows[1::2], strict=True)}
    assert list(named) == ROWS
    assert {row: [name for name in names if name not in defined] for row, names in named.items()} == {
        row: [] for row in ROWS
    }
    assert [row for row, names in named.items() if not names] == []
