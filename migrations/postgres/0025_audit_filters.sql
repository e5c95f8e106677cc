-- The audit log with every filter at once.
-- The other dialect's file says the same: change both.

-- Entries are read from the newest on, so each index of a filter has the id behind its columns.
-- PostgreSQL would often take the primary key instead, or the index of one column, and read most
-- of the log, where the columns are frequent each by itself and rare together, which it cannot
-- know. So each index has the id plus another number: a query in that order is answered by that
-- index alone. The number is the sum of 1 for user_id, 2 for actor and 4 for action.
DROP INDEX audit_log_user;
DROP INDEX audit_log_actor;
DROP INDEX audit_log_action;
DROP INDEX audit_log_user_action;
DROP INDEX audit_log_actor_action;
CREATE INDEX audit_log_user ON audit_log (user_id, (id + 1));
CREATE INDEX audit_log_actor ON audit_log (actor, (id + 2));
CREATE INDEX audit_log_action ON audit_log (action, (id + 4));
CREATE INDEX audit_log_user_actor ON audit_log (user_id, actor, (id + 3));
CREATE INDEX audit_log_user_action ON audit_log (user_id, action, (id + 5));
CREATE INDEX audit_log_actor_action ON audit_log (actor, action, (id + 6));
CREATE INDEX audit_log_user_actor_action ON audit_log (user_id, actor, action, (id + 7));
-- What operators did to their own accounts.
CREATE INDEX audit_log_actor_object ON audit_log (actor, object, (id + 8));
