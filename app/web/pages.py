"""All pages and their panels."""

from app.web import (
    drift,
    executions,
    model,
    monitor,
    monitors,
    new_monitor,
    overview,
    request,
    requests,
    status,
)

PAGES = {
    page.path: page
    for page in (
        overview.PAGE,
        model.PAGE,
        drift.PAGE,
        requests.PAGE,
        request.PAGE,
        executions.PAGE,
        monitors.PAGE,
        monitor.PAGE,
        new_monitor.PAGE,
        status.PAGE,
    )
}
PANELS = {panel.name: panel for page in PAGES.values() for panel in page.panels}
