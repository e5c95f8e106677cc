//! The store's contract: every case on SQLite in memory, SQLite in a file and
//! a real PostgreSQL. A harness of our own, because a PostgreSQL that the
//! tests started has to be stopped after the last case.

// Tests say what they expect by unwrapping.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accounts;
mod bed;
mod calendar;
mod cluster;
mod crowd;
mod devices;
mod events;
mod opening;
mod secrets;
mod statistics;
mod tokens;

use bed::{Backend, Bed};
use cluster::Cluster;
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    future::Future,
    pin::Pin,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;
type Case = (&'static str, fn(Arc<Bed>) -> Running);

macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        &[$($((
            stringify!($case),
            (|bed| Box::pin(async move { $module::$case(&bed).await })) as fn(Arc<Bed>) -> Running,
        ),)*)*]
    };
}

/// On all three.
const EVERYWHERE: &[Case] = cases! {
    accounts: the_seeded_plans_are_the_landing_pages
        a_sign_up_holds_the_lowest_free_slot_and_reads_back
        a_name_is_taken_once_and_a_plan_must_exist
        a_full_node_is_told_and_nothing_is_half_made
        a_subnet_that_is_in_the_way_costs_one_slot_and_no_sign_up
        suspending_and_deleting_count_as_changes_and_are_logged
        the_operators_list_counts_devices_and_those_online
        operators_are_made_found_and_get_new_passwords;
    devices: devices_take_the_lowest_free_address_and_read_back
        labels_keys_and_client_ids_are_unique
        the_plans_limit_holds
        somebody_elses_device_is_not_found
        a_change_that_changes_nothing_wakes_nobody
        a_device_whose_key_the_browser_made_has_no_private_key
        the_spec_holds_everything_unsealed
        changes_since_a_snapshot_make_it_the_spec_again;
    statistics: counters_become_totals_and_days
        counters_that_begin_again_lose_nothing
        unknown_peers_and_doubles_do_no_harm
        every_span_has_its_steps_for_a_device_and_for_all
        a_graph_of_anothers_device_is_not_found
        a_clock_that_goes_back_loses_nothing
        what_no_graph_reaches_is_pruned_in_bites
        days_are_kept_for_a_year
        a_deleted_device_still_counts_for_its_tenant;
    tokens: a_ticket_works_once_in_time_and_for_its_host
        a_ticket_redeemed_by_many_at_once_works_for_one
        tickets_end_with_their_tenant_and_when_they_expire
        a_ticket_tells_the_session_it_came_from
        a_ticket_is_written_down_with_it_and_not_without
        of_many_tickets_the_newest_ten_are_good
        sessions_keep_tower_sessions_contract
        the_audit_log_is_newest_first_and_outlives_the_tenant
        the_database_says_that_it_is_well;
    events: events_are_newest_first_for_the_operator_and_for_their_tenant
        what_befell_one_who_left_is_no_later_tenants
        events_are_bounded_by_number_length_and_age
        one_tenant_pushes_nobody_else_out_of_the_event_log;
    crowd: sixty_four_sign_ups_at_once_share_no_slot
        one_name_is_given_to_one_of_many_at_once
        one_label_and_the_last_place_are_given_once;
};

/// Where a database can be opened twice and looked at from behind.
const ON_DISK: &[Case] = cases! {
    opening: opening_again_keeps_everything
        an_older_schema_is_brought_up_to_date_with_its_rows
        traffic_of_an_older_schema_is_carried_on
        a_newer_schema_is_refused_in_a_sentence
        two_that_open_at_once_both_succeed
        a_server_or_file_that_cannot_be_reached_is_told_without_the_password;
    secrets: sealed_columns_hold_nothing_in_the_clear
        another_key_is_refused_at_the_door
        a_sealed_value_moved_to_another_row_does_not_open
        session_ids_and_tokens_are_kept_hashed;
    statistics: bandwidth_stats_tells_a_devices_bytes_every_six_hours
        a_year_of_graphs_stays_small
        a_deleted_tenants_traffic_goes_with_it;
    crowd: deleting_tenants_and_recording_do_not_block_each_other
        a_node_that_carries_seven_takes_seven_of_a_hundred_at_once
        a_thousand_sign_ups_at_once_fill_the_node
        a_hundred_changes_of_one_tenant_at_once_all_count
        a_thousand_tenants_with_twenty_devices_each_load;
};

static SERVER: OnceLock<String> = OnceLock::new();

fn main() -> ExitCode {
    let args = Arguments::from_args();
    let mut trials = Vec::new();
    for backend in [Backend::Memory, Backend::File, Backend::Postgres] {
        let on_disk = if backend == Backend::Memory {
            &[]
        } else {
            ON_DISK
        };
        for (name, case) in EVERYWHERE.iter().chain(on_disk) {
            let title = format!("{}::{name}", format!("{backend:?}").to_lowercase());
            trials.push((backend, Trial::test(title, move || run(backend, *case))));
        }
    }
    let needed = |t: &(Backend, Trial)| t.0 == Backend::Postgres && !args.is_filtered_out(&t.1);
    // Started here and not by the first case: the server dies with the thread
    // that started it.
    let cluster = if !args.list && trials.iter().any(needed) {
        match Cluster::start() {
            Ok(cluster) => Some(cluster),
            Err(why) => {
                eprintln!("The PostgreSQL half of the contract cannot run: {why}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        None
    };
    if let Some(c) = &cluster {
        SERVER.get_or_init(|| c.url.clone());
    }
    let trials = trials.into_iter().map(|(_, t)| t).collect();
    let conclusion = libtest_mimic::run(&args, trials);
    drop(cluster);
    conclusion.exit_code()
}

/// Runs a case on a database of its own, which goes even where the case fails.
fn run(backend: Backend, case: fn(Arc<Bed>) -> Running) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bed = Arc::new(Bed::new(backend, SERVER.get().map(String::as_str)).await);
        let done = tokio::spawn(case(bed.clone())).await;
        if let Some(bed) = Arc::into_inner(bed) {
            bed.finish().await;
        }
        if let Err(e) = done {
            std::panic::resume_unwind(e.into_panic());
        }
        Ok(())
    })
}
