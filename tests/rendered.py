"""A report's page and Markdown, from results; the report is imported when it is needed."""


def html(results):
    """Return the page."""
    from cytosuite.benchmark.report import page

    return page.html(results, page.views(results))


def text_of(results):
    """Return the Markdown."""
    from cytosuite.benchmark.report import page

    return page.markdown(results, page.views(results))


def macro(name, file="macros.html"):
    """Return a macro of the page as a function."""
    from cytosuite.benchmark.report import page

    return getattr(page.tools().get_template(file).module, name)
