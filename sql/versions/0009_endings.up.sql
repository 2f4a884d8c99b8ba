-- Receivers hear the end of what fires when its monitor is deleted, and old verdicts can be deleted.
SET LOCAL search_path = truthline_data, truthline, public;

-- delivery: the last message about a monitor is sent after the monitor is gone. Numbers of monitors are
-- never used again, so the messages keep theirs, and with it their order.
-- Why      nothing reads a delivery by its monitor's row but statements that look for the row first.
-- squawk-ignore ban-drop-constraint
ALTER TABLE delivery DROP CONSTRAINT delivery_monitor_id_fkey;

-- Verdicts are deleted by the end of their window: see app/monitors/retention.py.
CREATE INDEX verdict_window_end ON verdict (window_end);
