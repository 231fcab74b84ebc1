"""What several notebooks need, written once.

A master takes it in a locked cell, by `from common import show_figure`. In the notebooks the definition's text stands
there instead.
"""

import matplotlib.pyplot as plt


def show_figure(says):
    """Show the current figure. `says` tells readers who cannot see it what the data say: a sentence with numbers."""
    if "get_ipython" not in globals():  # a script: a window has no place for the text
        plt.show()
        return
    from html import escape

    from IPython.core.pylabtools import print_figure
    from IPython.display import display

    png = print_figure(plt.gcf(), base64=True)
    plt.close()
    image = f'<img alt="{escape(says)}" src="data:image/png;base64,{png}">'  # JupyterLab gives a PNG alone no text
    display({"image/png": png, "text/html": image}, metadata={"image/png": {"alt": says}}, raw=True)
