/** What the doctor finds, faults first. Pure. */
import type { Finding } from "../../appliance/doctor_finding.ts";
import { count } from "../paint.ts";
import { Card, FixedLight } from "./parts.tsx";

const LEVELS = ["fail", "warn", "ok"] as const;
const LIGHT = { ok: "green", warn: "yellow", fail: "red" } as const;
const WORD = { ok: "good", warn: "mind", fail: "fault" } as const;

export function Doctor({ findings }: { findings: readonly Finding[] }) {
  const sorted = LEVELS.flatMap((level) => findings.filter((one) => one.level === level));
  const faults = findings.filter(({ level }) => level === "fail").length;
  const title = faults === 0
    ? "Nothing keeps the node from running"
    : `${count(faults)} ${faults === 1 ? "fault" : "faults"}`;
  return (
    <Card id="findings" title={title} note="Looked at just now; nothing was changed." wide>
      <ul class="findings">
        {sorted.map(({ level, topic, text, fix }) => (
          <li>
            <FixedLight state={LIGHT[level]} word={WORD[level]} /> <strong>{topic}</strong> {text}
            {fix === null ? null : (
              <span class="fix">
                Do: <span class="code">{fix}</span>
              </span>
            )}
          </li>
        ))}
      </ul>
      <p class="actions">
        <a class="button" href="/doctor">Look again</a>
      </p>
    </Card>
  );
}
