"""`bandpact bench radio`: processor time and gaps of the Pluto driver, on a simulated Pluto over libiio's protocol."""

from typing import Annotated

import typer

from agent.cli.common import Exit, fail, output_console, print_json


def radio(
    seconds: Annotated[float, typer.Option(min=0.5, max=3600, help="How long each measurement lasts.")] = 5.0,
    rate: Annotated[
        int, typer.Option(min=521_000, max=61_440_000, help="Of the two-way measurement, S/s.")
    ] = 4_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Stream both ways at a Pluto's sustained rate, then receive alone as fast as it goes; CPU time and gaps of each.

    The simulated Pluto runs in a process of its own, so that what is counted is the driver, and of what is sent the
    waveform check that goes before it.
    """
    from agent.bench.radio import both_ways, receive_alone, simulated_pluto
    from radio.errors import RadioError

    try:
        with simulated_pluto(paced=True) as uri:
            two_way = both_ways(uri, seconds=seconds, rate_hz=rate)
        with simulated_pluto(paced=False) as uri:
            alone = receive_alone(uri, seconds=seconds)
    except RadioError as exc:
        fail(str(exc), Exit.NOT_READY)
    if as_json:
        print_json({"both_ways": two_way, "receive_alone": alone})
        return
    out = output_console()
    out.print(
        f"both ways  {two_way['rx_msps']:.2f} MS/s in, {two_way['tx_msps']:.2f} MS/s out, {two_way['seconds']:.1f} s: "
        f"{two_way['cpu_percent']:.1f} % of one core, {two_way['gaps']} gap(s), {two_way['underruns']} underrun(s)"
    )
    out.print(
        f"in alone   {alone['msps']:.1f} MS/s by the clock, {alone['msps_per_cpu']:.1f} MS per second of CPU, "
        f"{alone['gaps']} gap(s)"
    )
