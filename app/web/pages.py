"""All pages and their panels."""

from app.web import executions, model, overview, status

PAGES = {page.path: page for page in (overview.PAGE, model.PAGE, executions.PAGE, status.PAGE)}
PANELS = {panel.name: panel for page in PAGES.values() for panel in page.panels}
