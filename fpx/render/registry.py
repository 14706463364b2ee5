"""Which function draws which report."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from fpx.report.base import Report

if TYPE_CHECKING:
    from rich.console import RenderableType

# report class, without "fpx.report." -> "module:function" here, which loads when it first draws; a
# subclass is drawn as the nearest of its bases that has a row
_DRAWN_BY = {
    "base.Report": "tables:any_table",
    "base.Reports": "tables:one_after_another",
    "decode.DecodeReport": "decode:decode_panel",
    "decode.Comparison": "decode:comparison",
    "distribution.DistributionReport": "distribution:distribution_panel",
    "block.BlockReport": "block:block_tables",
    "block.BlocksReport": "block:blocks_tables",
    "libraries.LibraryReport": "libraries:libraries_panel",
    "encode.EncodeReport": "encode:encode_line",
    "survey.Survey": "survey:survey_table",
    "ranges.FormatReport": "ranges:format_table",
    "scaled_range.RangeReport": "ranges:range_tables",
    "scaled_range.ScaledRange": "ranges:format_table",
    "ranges.RangeComparison": "ranges:comparison_table",
    "formats.FormatsReport": "formats:formats_tables",
    "element_table.ElementTable": "table:element_list",
    "table.TableReport": "table:table_report",
    "bits.BitsReport": "bits:byte_lines",
    "distance.DistanceReport": "distance:distance_table",
    "distance.Distances": "distance:distances_table",
    "calc.CalcReport": "calc:calc_panel",
    "calc.CalcReports": "calc:calc_table",
    "calc_all.AllCodesReport": "calc_all:all_codes_tables",
    "calc_all_stochastic.AllOutcomesReport": "calc_all_stochastic:all_outcomes_tables",
    "calc_stochastic.StochasticReport": "calc_stochastic:stochastic_panel",
    "inspect.InspectReport": "inspect:inspect_tables",
    "inspect.ExtremesReport": "inspect_values:extremes_table",
    "inspect.TensorReport": "inspect_tensor:tensor_values",
    "inspect.LayoutReport": "inspect_tensor:layout_drawing",
    "followed.ElementReport": "followed:element_steps",
    "cast_compare.CastReport": "cast_compare:cast_tables",
    "cast_verify.VerifyReport": "cast_verify:verify_tables",
    "stochastic_verify.RoundingReport": "stochastic_verify:rounding_tables",
    "op_verify.OpVerifyReport": "op_verify:op_verify_tables",
    "op_verify.FunctionsReport": "op_verify:functions_table",
    "diff.DiffReport": "diff:diff_tables",
    "step_compare.StepReport": "step_compare:step_tables",
    "reveal.RevealReport": "reveal:reveal_tables",
    "watch.WatchReport": "watch:watch_tables",
    "devices.DevicesReport": "devices:devices_tables",
}


def renderable(report: Report) -> RenderableType:
    """What rich prints for a report; a plain string where there is nothing to lay out."""
    for kind in type(report).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("fpx.report.")
        if name in _DRAWN_BY:
            module, _, function = _DRAWN_BY[name].partition(":")
            draw: Callable[[Report], RenderableType] = getattr(
                import_module(f"fpx.render.{module}"), function
            )
            return draw(report)
    raise TypeError(f"{type(report).__name__} is no report")
