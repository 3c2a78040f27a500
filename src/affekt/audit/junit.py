"""A verdict as JUnit XML, which every CI shows as tests."""

from __future__ import annotations

from xml.etree import ElementTree

from affekt.audit.gate import Verdict
from affekt.audit.markdown import line
from affekt.audit.wording import opponent

__all__ = ["junit"]


def junit(verdict: Verdict) -> str:
    """One test suite, a test case a rule; a failed rule is a failure, a warning a passed test with output."""
    words = [finding.verdict for finding in verdict.findings]
    held = opponent(verdict.comparison)
    suite = ElementTree.Element(
        "testsuite",
        name=f"affekt gate {verdict.policy.name}: {verdict.comparison.tuned} against {held}",
        tests=str(len(words)),
        failures=str(words.count("fail")),
        errors="0",
        skipped="0",
    )
    for finding in verdict.findings:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"affekt.{verdict.policy.name}", name=finding.rule.title
        )
        text = "\n".join(map(line, finding.trespasses)) or line(finding.worst)
        if finding.verdict == "fail":
            failure = ElementTree.SubElement(case, "failure", message=line(finding.worst), type="shift")
            failure.text = text
        else:
            ElementTree.SubElement(case, "system-out").text = f"{finding.verdict}: {text}"
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"
