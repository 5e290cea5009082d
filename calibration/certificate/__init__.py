"""A calibration as a report for people: one HTML page, or a PDF, with what ISO/IEC 17025:2017 wants on a certificate.

Both say the same: `content` makes the document from the record, `html` and `pdf` write it.
"""

from calibration.certificate.content import number
from calibration.certificate.html import render_html, write_html
from calibration.certificate.pdf import render_pdf, write_pdf

__all__ = ["number", "render_html", "render_pdf", "write_html", "write_pdf"]
