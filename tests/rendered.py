"""A report's page and Markdown, from results; the report is imported when it is needed."""


def _views(results):
    from cytosuite.benchmark.report.index import index
    from cytosuite.benchmark.report.section import views

    indexed = index(results)
    return indexed, views(indexed)


def html(results):
    """Return the page."""
    from cytosuite.benchmark.report import page

    return page.html(*_views(results))


def text_of(results):
    """Return the Markdown."""
    from cytosuite.benchmark.report import page

    return page.markdown(*_views(results))
