/** The page of a node on its fleet: whether the agent is connected, and what the controller has it do. */
import type { Hono } from "hono";
import type { AgentStatus } from "../fleet/agent.ts";
import { duration, wallTime } from "../paint.ts";
import { type Env, type Pages, show } from "./pages.tsx";
import { Card, Facts, FixedLight } from "./parts.tsx";

/** A status that is older is of an agent that ended. */
const STALE_MS = 15_000;

export function addFleet(app: Hono<Env>, pages: Pages): void {
  const { fleet, now } = pages.means;
  if (fleet === undefined) return;
  app.get("/fleet", (c) =>
    show(c, pages, {
      ...{ at: "/fleet", title: "Fleet", lead: "Forwarding knows neither the agent nor the controller." },
      body: () => <Fleet status={fleet()} nowMs={now()} />,
    }));
}

export function Fleet({ status, nowMs }: { status: AgentStatus | null; nowMs: number }) {
  if (status === null) {
    return (
      <Card id="fleet" title="Agent" everyMs={2000}>
        <p class="empty">
          No agent runs: <span class="code">remediate fleet agent</span>{" "}
          is the service that connects to the controller.
        </p>
      </Card>
    );
  }
  const { view, url, waits, busy, atMs, last } = status, stale = nowMs - atMs > STALE_MS;
  const live = !stale && view?.phase === "live";
  const reason = stale ? `it has not written since ${wallTime(atMs)}` : waits || view?.reason || "";
  return (
    <Card id="fleet" title="Agent" note={url} everyMs={2000}>
      <Facts
        rows={[
          [
            "Controller",
            <FixedLight
              state={live ? "green" : "yellow"}
              word={live ? "connected" : view?.phase ?? "away"}
            />,
          ],
          ["Since", view === null ? "never" : `${wallTime(view.sinceMs)}, ${duration(nowMs - view.sinceMs)}`],
          ["Known there as", view?.node ?? "nobody yet"],
          ["Why not", live || reason === "" ? "–" : reason],
          ["Commands that wait or are under way", String(busy)],
          ["Last command", last === null ? "none since the agent began" : last],
        ]}
      />
    </Card>
  );
}
