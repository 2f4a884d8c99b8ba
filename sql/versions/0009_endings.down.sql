-- Messages about monitors that are gone are deleted: nothing would tell whom they belong to.
DROP INDEX truthline_data.verdict_window_end;
DELETE FROM truthline_data.delivery
WHERE NOT EXISTS (SELECT FROM truthline_data.monitor WHERE monitor.id = delivery.monitor_id);
ALTER TABLE truthline_data.delivery ADD CONSTRAINT delivery_monitor_id_fkey
    FOREIGN KEY (monitor_id) REFERENCES truthline_data.monitor (id) ON DELETE CASCADE;
