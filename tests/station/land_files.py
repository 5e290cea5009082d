"""Exports as LAND's program writes them, in its several ways."""

from __future__ import annotations

from datetime import datetime

ENGLISH = (
    "Record,TestTime/Sec,StepTime/Sec,Current/mA,Capacity/mAh,SpeCap/mAh/g,Voltage/V,Energy/mWh,SysTime,,"
    "Cycle-Index,Step-Index,Step-State"
)
CHINESE = (
    "记录序号 测试时间 步骤时间 电流/A 容量/Ah 比容量/mAh/g 电压/V 能量/Wh 系统时间 循环序号 工步序号 工步状态".replace(
        " ", "\t"
    )
)
BEGAN = datetime(2025, 3, 1, 12, 0, 0).timestamp()
STEPS = (("R", 0.0, 6), ("RateC", 1.0, 11), ("RateD", -1.0, 11), ("RateC", 1.0, 6))
"""State, current in mA and number of records, 10 s apart; the last belongs to the second cycle."""


def records(steps: tuple[tuple[str, float, int], ...] = STEPS) -> list[tuple[float, float, int, int, str, float]]:
    """Time of test, time of step, cycle, step, state and current in mA."""
    found, time_s, cycle = [], 0.0, 1
    for number, (state, current_mA, count) in enumerate(steps, start=1):
        cycle += number == 4
        found += [(time_s + 10.0 * n, 10.0 * n, cycle, number, state, current_mA) for n in range(count)]
        time_s = found[-1][0] + 1.0
    return found


def english(count: int | None = None, heading: str = ENGLISH, began: float = BEGAN) -> str:
    lines = [heading]
    for number, (test_s, step_s, cycle, step, state, current_mA) in enumerate(records()[:count], start=1):
        stamp = datetime.fromtimestamp(int(began + test_s)).strftime("%Y-%m-%d %H:%M:%S")
        capacity_mAh = abs(current_mA) * step_s / 3600
        voltage_V = 3.5 + 0.1 * current_mA + 1e-4 * test_s
        lines.append(
            f"{number},{test_s:.1f},{step_s:.1f},{current_mA:.4f},{capacity_mAh:.6f},{capacity_mAh:.3f},{voltage_V:.4f},"
            f"{capacity_mAh * voltage_V:.6f},{stamp},,{cycle},{step},{state}"
        )
    return "\n".join(lines) + "\n"


def chinese() -> str:
    lines = ["第1循环", CHINESE]
    for number, (test_s, step_s, cycle, step, state, current_mA) in enumerate(records(), start=1):
        stamp = datetime.fromtimestamp(int(BEGAN + test_s)).strftime("%Y/%m/%d %H:%M:%S")
        said = {"R": "静置", "RateC": "充电", "RateD": "放电"}[state]
        test, step_time = (f"{int(t // 3600):02}:{int(t % 3600 // 60):02}:{t % 60:04.1f}" for t in (test_s, step_s))
        amperes, capacity = abs(current_mA) / 1e3, abs(current_mA) * step_s / 3600e3
        volts = 3.5 + 0.1 * current_mA + 1e-4 * test_s
        if cycle == 2 and step_s == 0.0:
            lines += ["", "第2循环", CHINESE]
        lines.append(
            f"{number}\t{test}\t{step_time}\t{amperes:.7f}\t{capacity:.9f}\t-\t{volts:.4f}\t"
            f"-\t{stamp}\t{cycle}\t{step}\t{said}"
        )
    return "\r\n".join(lines) + "\r\n"
