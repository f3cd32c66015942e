"""`bandpact bench`: measures each part on this machine, beside a baseline."""

import typer

from agent.cli import (
    bench_cbrs,
    bench_chain,
    bench_gate,
    bench_node,
    bench_radio,
    bench_scale,
    bench_sensing,
    bench_settlement,
    bench_start,
    bench_table,
)
from agent.cli.commandlist import Listed

bench = typer.Typer(cls=Listed, no_args_is_help=True, help="Measure this machine, each figure beside its baseline.")
bench.command("cbrs")(bench_cbrs.cbrs)
bench.command("chain")(bench_chain.chain)
bench.command("audit")(bench_scale.audit)
bench.command("archive")(bench_scale.archive)
bench.command("identities")(bench_scale.identities)
bench.command("gate")(bench_gate.gate)
bench.command("node")(bench_node.node)
bench.command("start")(bench_start.start)
bench.command("settlement")(bench_settlement.settlement)
bench.command("sensing")(bench_sensing.sensing)
bench.command("radio")(bench_radio.radio)
bench.command("detection")(bench_sensing.detection)
bench.command("load")(bench_table.load)
bench.command("world")(bench_table.world)
bench.command("table")(bench_table.table)
