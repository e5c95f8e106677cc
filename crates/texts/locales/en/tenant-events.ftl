# What a tenant reads of an event, by its kind alone.

tenant-event-drift-interface-gone = Your tunnel was gone from the server; it is created again.
tenant-event-drift-key-changed = Your tunnel had another key; it gets its own back.
tenant-event-drift-port-changed = Your tunnel listened on another port; it gets its own back.
tenant-event-drift-interface-down = Your tunnel was switched off; it is brought up again.
tenant-event-drift-address-changed = Your tunnel had lost its address; it gets it back.
tenant-event-drift-peers-changed = Your tunnel did not let in exactly the devices you have; it does so again.
tenant-event-drift-elements-changed = Your network's part of the firewall was gone or changed; it is written again.
tenant-event-drift-container-gone = Your DNS filter was gone; it is created again.
tenant-event-drift-container-stopped = Your DNS filter had stopped; it is started again.
tenant-event-drift-container-paused = Your DNS filter was paused; it is recreated.
tenant-event-drift-conf-changed = Your tunnel's configuration on the server was edited or gone; it is written again.
tenant-event-drift-keys-damaged = Your keys on the server's disk were gone or damaged; they are written again.
tenant-event-drift-folder-gone = Your folder on the server was gone; it is written again.
tenant-event-drift-dns-conf-gone = Your DNS filter's configuration was gone; it is recreated with a new one.
tenant-event-drift-clients-changed = Devices in your AdGuard Home were missing or changed; they are as in your dashboard again.
tenant-event-drift-statistics-damaged = Your DNS filter kept ending; its statistics were set aside so that it can start.
tenant-event-drift-query-log-damaged = Your DNS filter kept ending; its query log was set aside so that it can start.
tenant-event-drift-lists-damaged = Your DNS filter kept ending; the block lists you added were set aside so that it can start. Add those again that you still need, one at a time.
tenant-event-drift-dns-conf-damaged = Your DNS filter kept ending; its settings were set aside, and the last good ones or new ones took their place. Please check them.
tenant-event-drift-dns-password-changed = Your DNS filter did not take the server's password; that is corrected and it is started again.
tenant-event-part-firewall-failed = Your network's part of the firewall could not be written; it is tried again until it can.
tenant-event-part-firewall-back = Your network's part of the firewall is in force again.
tenant-event-part-tunnel-failed = Your tunnel failed; it is tried again until it works.
tenant-event-part-tunnel-back = Your tunnel works again.
tenant-event-part-dns-failed = Your DNS filter failed; it is tried again until it works.
tenant-event-part-dns-back = Your DNS filter works again.
tenant-event-disk-trimmed = Your DNS filter's query log took up too much of the disk; its oldest part was removed.
tenant-event-disk-full = Your DNS filter uses more of the disk than it may and is stopped; names are resolved without a filter. Its query log and old lists are removed; with fewer or smaller block lists this does not happen again.
tenant-event-disk-held = Your DNS filter is stopped, because it wrote a lot while the server's disk is nearly full; names are resolved without a filter until there is room again.
tenant-event-disk-back = Your DNS filter has room on the disk again and is started.
tenant-event-quota-warned = Your network has used 80 % of this month's data.
tenant-event-quota-reached = Your network has used up this month's data. DNS and this dashboard work; the overview says what else does, and until when.
tenant-event-quota-reset = Your network has data again and is as fast as your plan.
tenant-event-disk-lists = The block lists you added took up more of the disk than your DNS filter may use, and were removed. Add those again that you still need, if they are smaller.
# A kind of another version.
tenant-event-other = Something about your network was noticed and is seen to.
