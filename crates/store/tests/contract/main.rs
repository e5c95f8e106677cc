//! The contract of the store: every case runs on SQLite in memory, SQLite in a
//! file and a real PostgreSQL. The test harness is custom, because a PostgreSQL
//! that the tests started must be stopped after the last case.

// A failed `unwrap` is a failed test.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod account_security;
mod accounts;
mod api;
mod audit;
mod commits;
mod concurrency;
mod control_planes;
mod copying;
mod devices;
mod endpoint_names;
mod events;
mod ipv6;
mod long_audit_log;
mod looks;
mod mail;
mod moves;
mod nodes;
mod opening;
mod operators;
mod plans;
mod pooler;
mod postgres;
mod quotas;
mod retention;
mod secrets;
mod sessions;
mod sign_up;
mod statistics;
mod test_database;
mod tickets;
mod unreadable;
mod year_of_readings;

use libtest_mimic::{Arguments, Failed, Trial};
use postgres::PostgresServer;
use std::{
    future::Future,
    pin::Pin,
    process::ExitCode,
    sync::{Arc, OnceLock},
};
use test_database::{Backend, TestDatabase};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Case = (&'static str, fn(Arc<TestDatabase>) -> Running);

macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        &[$($((
            stringify!($case),
            (|db| Box::pin(async move { $module::$case(&db).await })) as fn(Arc<TestDatabase>) -> Running,
        ),)*)*]
    };
}

/// Cases for all three databases.
const EVERYWHERE: &[Case] = cases! {
    endpoint_names: a_name_is_told_acknowledged_and_removed
        an_acknowledgement_that_comes_late_is_no_proof
        another_domain_gives_up_the_former_name
        a_problem_of_the_name_server_is_noted_until_it_ends;
    mail: a_mail_is_claimed_by_one_and_sent_once
        a_mail_whose_sender_died_is_claimed_again
        a_mail_is_deferred_and_given_up
        an_address_is_verified_by_its_link_once
        a_changed_address_is_told_to_the_former
        a_reset_by_mail_needs_a_verified_address
        mails_to_an_address_are_bounded
        without_mail_nothing_is_queued
        changes_of_an_account_are_told
        a_new_browser_is_told_beside_a_known_one
        a_sent_mail_is_pruned_and_a_failed_one_retried
        what_was_sent_is_not_sent_again_at_once
        a_former_address_has_no_link_to_a_new_password
        the_address_of_a_sign_up_is_stored_with_it
        a_sign_up_whose_link_is_not_queued_keeps_its_address
        a_discarded_mail_is_never_sent;
    looks: a_look_is_of_one_session_and_tells_its_changes
        a_second_look_ends_the_first
        a_deleted_tenant_ends_the_looks_at_it
        a_look_ends_with_its_time_its_session_and_its_operator;
    accounts: seeded_plans_match_the_landing_page
        slots_are_given_in_a_circle
        a_taken_name_or_unknown_plan_is_refused
        a_full_node_refuses_and_changes_nothing
        an_overlapping_subnet_only_skips_its_slot
        suspensions_and_deletions_are_counted_and_logged
        the_tenant_list_counts_online_devices
        devices_that_have_never_connected_are_listed;
    operators: the_first_operator_has_a_link
        an_invitation_has_a_name_and_a_role
        the_last_owner_stays
        of_owners_who_leave_at_once_one_stays
        a_name_with_nul_is_no_fault_of_the_database;
    api: a_credential_ends_with_its_holder
        a_refresh_token_is_replaced_once
        credentials_are_bounded_in_number
        an_answer_is_given_to_its_request
        signing_keys_are_found_by_id
        a_change_of_what_was_read_is_refused_later
        logs_are_read_from_before_an_entry;
    devices: addresses_are_given_in_a_circle
        labels_keys_and_client_ids_are_unique
        the_plan_limits_the_number_of_devices
        another_tenants_device_is_not_found
        an_equal_change_does_not_raise_the_generation
        what_a_configuration_says_can_be_changed
        a_browser_generated_key_is_not_stored
        the_spec_contains_opened_secrets
        a_snapshot_with_changes_equals_the_spec;
    plans: plans_are_created_changed_and_deleted
        a_plan_with_tenants_is_not_deleted
        a_changed_plan_is_one_change_for_all_its_tenants
        a_preview_names_whom_a_change_touches
        another_plan_is_in_force_at_once;
    quotas: bytes_of_a_month_are_counted_once
        each_crossing_is_announced_once
        a_new_month_opens_what_was_closed
        quotas_far_from_their_limit_are_not_read
        a_crossing_that_was_not_settled_is_found
        a_changed_day_ends_the_month_sooner
        a_move_ends_the_month_on_the_same_date
        concurrent_callers_settle_once;
    statistics: counters_become_totals_and_days
        counters_that_restart_lose_no_bytes
        unknown_and_repeated_peers_are_handled
        every_span_sums_devices_by_step
        a_graph_of_another_tenants_device_is_refused
        a_clock_set_back_loses_no_bytes;
    retention: old_buckets_are_pruned_in_small_batches
        days_are_stored_for_a_year
        a_deleted_device_still_counts_for_its_tenant;
    tickets: a_ticket_is_redeemed_once_by_its_audience
        a_ticket_is_redeemed_by_one_concurrent_caller
        tickets_end_with_their_tenant_or_expiry
        a_ticket_returns_its_parent_session
        a_refused_ticket_writes_no_audit_entry
        the_newest_ten_tickets_stay_valid;
    sessions: sessions_meet_the_contract_of_tower_sessions;
    account_security: a_recovery_code_is_its_holders_and_works_once
        the_newest_reset_link_replaces_the_former
        sessions_are_their_holders
        known_clients_are_bounded;
    audit: the_audit_log_outlives_its_tenant
        the_audit_log_is_filtered;
    opening: an_open_database_is_healthy;
    events: events_are_listed_newest_first
        a_later_tenant_reads_no_earlier_events
        events_are_bounded_by_number_length_and_age
        one_tenant_does_not_displace_others_events;
    commits: a_change_returns_its_slot_and_generation
        concurrent_changes_return_the_generation_that_shows_them
        a_restored_database_is_raised_above_the_node;
    nodes: a_machine_joins_with_a_token_once
        a_late_token_joins_no_machine
        a_refused_join_leaves_the_token_usable
        of_two_uses_at_once_one_joins
        machines_that_join_at_once_are_different_nodes
        a_renewed_certificate_replaces_the_former
        a_revoked_worker_joins_again_with_another_key
        a_closed_node_gets_no_tenant
        the_tenants_of_each_node_are_counted
        a_node_without_tenants_is_removed
        another_host_says_how_many_devices_it_touches
        a_change_of_a_node_says_what_it_was_and_where_it_came_from
        what_was_heard_of_a_node_is_noted
        one_authority_wins_a_race;
    moves: a_moved_tenant_keeps_slot_and_devices
        a_move_that_cannot_be_is_refused
        all_tenants_of_a_node_are_to_be_moved
        what_a_tenant_left_ends_in_time
        a_former_nodes_reading_is_not_counted
        two_moves_into_one_slot_are_told_apart
        moves_in_both_directions_do_not_deadlock;
    control_planes: the_sixth_attempt_of_a_window_waits
        an_attempt_counts_for_its_window_only
        a_paced_key_becomes_slower
        refunded_attempts_are_free_and_concurrent_ones_count
        an_older_reading_is_not_stored;
    sign_up: a_set_mode_counts_until_it_is_taken_back
        what_is_set_of_sign_ups_says_where_it_came_from
        a_reserved_name_is_refused_at_the_sign_up
        more_names_than_the_limit_are_not_reserved
        an_invitation_is_used_as_often_as_it_may_be
        the_last_use_of_an_invitation_is_given_once
        an_ended_invitation_says_why
        ten_thousand_invitations_are_listed_by_pages
        an_unused_tenant_sleeps_and_wakes
        a_new_device_wakes_its_tenant
        a_handshake_wakes_a_tenant_for_good
        a_handshake_that_was_not_noted_prevents_sleep;
    concurrency: concurrent_sign_ups_get_different_slots
        a_name_is_given_to_one_concurrent_sign_up
        concurrent_devices_respect_labels_and_the_limit;
};

/// Cases that open a database twice or read it without the store.
const ON_DISK: &[Case] = cases! {
    audit: entries_rare_together_are_found;
    endpoint_names: a_name_that_an_older_tenant_has_is_no_endpoint;
    devices: a_release_before_reads_a_routing_that_it_knows;
    ipv6: one_prefix_is_made_and_every_tenant_gets_it
        a_prefix_is_chosen_while_there_is_no_tenant;
    mail: a_link_that_waits_is_sealed;
    opening: a_reopened_database_is_unchanged
        an_older_schema_is_upgraded_with_its_rows
        traffic_of_an_older_schema_is_continued
        a_newer_schema_is_refused_with_a_message
        two_concurrent_opens_both_succeed
        a_file_that_another_process_is_opening_is_opened
        an_unopenable_database_is_reported_without_password;
    sessions: a_session_has_columns_that_outlive_its_data;
    account_security: a_step_is_accepted_once
        a_passkey_is_found_by_its_credential_and_counts_up
        a_challenge_is_taken_once
        a_pending_sign_in_has_few_tries
        another_password_ends_everything_but_one_session;
    secrets: sealed_columns_contain_no_clear_text
        a_new_key_seals_everything_again
        another_key_is_refused_at_opening
        a_sealed_value_moved_to_another_row_does_not_open
        session_ids_and_tokens_are_stored_hashed;
    nodes: an_authoritys_key_is_sealed;
    unreadable: one_unreadable_row_refuses_its_tenant_only;
    retention: bandwidth_stats_gets_rows_every_six_hours
        a_year_of_graphs_stays_small
        a_deleted_tenants_traffic_is_removed;
    statistics: a_reading_reads_its_own_nodes_peers_only;
    control_planes: attempts_are_stored_hashed_and_bounded
        a_machine_put_back_to_a_snapshot_is_counted_again
        two_recorders_count_each_byte_once;
    concurrency: deleting_and_recording_do_not_deadlock
        concurrent_sign_ups_respect_the_tenant_limit
        a_thousand_concurrent_sign_ups_fill_the_node
        concurrent_changes_of_a_tenant_all_count
        a_thousand_full_tenants_load;
};

/// Cases of the only control plane that SQLite allows.
const ON_SQLITE: &[Case] = cases! {
    control_planes: the_only_control_plane_holds_everything;
};

/// Cases of PostgreSQL: several control planes on it, and copying a SQLite database to it.
const ON_POSTGRES: &[Case] = cases! {
    audit: rare_filters_of_a_long_log_use_their_index;
    pooler: a_pooler_of_transactions_is_refused;
    control_planes: a_lease_has_one_holder_and_passes_on
        many_leases_are_taken_at_once
        control_planes_see_each_other;
    copying: every_row_is_copied_and_compared
        a_copied_database_serves_as_before
        a_complete_copy_is_recognised
        a_copy_that_ends_halfway_leaves_nothing
        of_two_copies_at_once_one_succeeds
        many_rows_are_copied_in_chunks
        a_target_that_returns_other_rows_is_noticed
        a_target_with_rows_is_refused
        a_target_that_does_not_fit_is_refused
        a_target_without_utf8_is_refused
        a_newer_schema_is_not_copied
        a_value_that_postgresql_cannot_store_is_named
        a_value_that_does_not_unseal_is_named_and_copied
        a_source_that_is_written_to_is_refused
        a_check_writes_nothing;
};

static SERVER_URL: OnceLock<String> = OnceLock::new();

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = Vec::new();
    for backend in [Backend::Memory, Backend::File, Backend::Postgres] {
        let [on_disk, special] = match backend {
            Backend::Memory => [&[][..], &[]],
            Backend::File => [ON_DISK, ON_SQLITE],
            Backend::Postgres => [ON_DISK, ON_POSTGRES],
        };
        for (name, case) in EVERYWHERE.iter().chain(on_disk).chain(special) {
            let title = format!("{}::{name}", format!("{backend:?}").to_lowercase());
            trials.push((backend, Trial::test(title, move || run(backend, *case))));
        }
    }
    let needed = |t: &(Backend, Trial)| t.0 == Backend::Postgres && !args.is_filtered_out(&t.1);
    // It is started here and not by the first case, because the server ends with
    // the thread that started it.
    let server = if !args.list && trials.iter().any(needed) {
        match PostgresServer::start() {
            Ok(server) => Some(server),
            Err(message) => {
                eprintln!("The contract cannot run on PostgreSQL: {message}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        None
    };
    if let Some(s) = &server {
        SERVER_URL.get_or_init(|| s.url.clone());
    }
    let trials = trials.into_iter().map(|(_, t)| t).collect();
    let conclusion = libtest_mimic::run(&args, trials);
    drop(server);
    conclusion.exit_code()
}

/// Runs a case on its own database, which is removed even if the case fails.
fn run(backend: Backend, case: fn(Arc<TestDatabase>) -> Running) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let db = Arc::new(TestDatabase::new(backend, SERVER_URL.get().map(String::as_str)).await);
        let result = tokio::spawn(case(db.clone())).await;
        if let Some(db) = Arc::into_inner(db) {
            db.finish().await;
        }
        if let Err(e) = result {
            std::panic::resume_unwind(e.into_panic());
        }
        Ok(())
    })
}
