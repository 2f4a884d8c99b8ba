-- Forgets all monitors, their verdicts and receivers.
DROP TABLE truthline_data.delivery, truthline_data.monitor_receiver, truthline_data.receiver_secret,
    truthline_data.receiver, truthline_data.monitor_part, truthline_data.verdict,
    truthline_data.monitor_round, truthline_data.monitor;
