/** The page of captures, the flight recorder and the log. Pure. */
import type { LogText } from "../../appliance/support/logs.ts";
import type { CaptureListing, RecorderStatus } from "../../appliance/view.ts";
import { byteSize, count, duration, wallTime } from "../paint.ts";
import { Card, type Fact, Facts, FixedLight, Offer, Table } from "./parts.tsx";
import { may, type Visitor } from "../session.ts";

interface LogsProps {
  readonly captures: CaptureListing;
  readonly recorder: RecorderStatus;
  /** Empty: they are not for him, or not to be had here. */
  readonly logs: readonly LogText[];
  readonly visitor: Visitor;
  readonly nowMs: number;
}

export function Logs({ captures, recorder, logs, visitor, nowMs }: LogsProps) {
  const gets = may(visitor, "operator");
  return (
    <>
      <Card id="ring" title="Copied frames" note="The ring of captured copies on disk." everyMs={5000} wide>
        <Facts rows={ringFacts(captures)} />
        <Files captures={captures} nowMs={nowMs} />
        {gets && captures.bytesMax > 0 ? <Spans path="/api/v1/capture/kept" name="copies" /> : null}
      </Card>
      <Card id="recorder" title="Flight recorder" note="Decisions with all they depended on." everyMs={5000}>
        <p>
          <FixedLight
            state={recorder.failing !== null ? "red" : recorder.on ? "green" : "off"}
            word={recorder.failing !== null ? "failing" : recorder.on ? "on" : "off"}
          />
        </p>
        <Facts rows={recorderFacts(recorder, nowMs)} />
        {gets && recorder.bytesMax > 0 ? <Spans path="/api/v1/recorder/saved" name="decisions" /> : null}
        {recorder.bytesMax === 0 ? null : (
          <p class="actions">
            <Offer visitor={visitor} action={recorder.on ? "recorder-off" : "recorder-on"} />
          </p>
        )}
      </Card>
      {gets ? <Live /> : null}
      <Card id="log" title="The log" wide>
        <p>
          The node writes its log to standard error, which the service manager keeps:{" "}
          <span class="code">journalctl -u remediate</span>. Everything that changes traffic is under{" "}
          <a href="/events">Events</a> as well.
        </p>
        {logs.map((log) => <LogLines log={log} />)}
        {may(visitor, "admin")
          ? (
            <>
              <p>
                For somebody who is to help: configuration, events, logs, what the node says of itself and
                what the doctor found, without passwords, keys, tokens, captures and state.
              </p>
              <p class="actions">
                <a class="button quiet" href="/api/v1/support" download="support.tar.gz">
                  Get the archive for support
                </a>
              </p>
            </>
          )
          : null}
      </Card>
    </>
  );
}

function LogLines({ log: { name, text, fault } }: { log: LogText }) {
  const title = name === "control" ? "Control" : "Plane";
  return (
    <>
      <h3>{title}, last lines</h3>
      {fault !== null
        ? <p class="empty">It cannot be read here: {fault}</p>
        : text === ""
        ? <p class="empty">It has said nothing.</p>
        : <pre class="code log" tabindex={0} role="region" aria-label={`Log of ${name}`}>{text}</pre>}
    </>
  );
}

function ringFacts({ directory, bytesMax, packets, missed, failing }: CaptureListing): Fact[] {
  if (bytesMax === 0) return [["Ring", "none is kept: capture.ring_mib is 0"]];
  return [
    ["Kept in", <span class="code">{directory}</span>],
    ["At most", byteSize(bytesMax)],
    ["Since control started", `${count(packets)} frames, ${count(missed)} missed`],
    ...(failing === null ? [] : [["Cannot be written", <FixedLight state="red" word={failing} />] as const]),
  ];
}

function Files({ captures, nowMs }: { captures: CaptureListing; nowMs: number }) {
  if (captures.bytesMax === 0) return null;
  const columns = [
    { head: "File" },
    { head: "From (UTC)" },
    { head: "Last written", number: true },
    { head: "Size", number: true },
    { head: "Switches", number: true },
  ];
  const rows = captures.files.toReversed().map(({ name, bytes, startMs, endMs, switches }) => [
    <span class="code">{name}</span>,
    wallTime(startMs).slice(0, 19),
    `${duration(Math.max(0, nowMs - endMs))} ago`,
    byteSize(bytes),
    count(switches),
  ]);
  return <Table name="Files of the ring" columns={columns} rows={rows} empty="No files so far." />;
}

function Spans({ path, name }: { path: string; name: string }) {
  const spans = [["around_s=30", "around the last switch"], ["last_s=60", "the last minute"], [
    "last_s=600",
    "the last 10 minutes",
  ]];
  return (
    <p class="actions">
      {spans.map(([query, words]) => (
        <a class="button quiet" href={`${path}?${query}`} download={`${name}.pcapng`}>Get {words}</a>
      ))}
    </p>
  );
}

function recorderFacts(recorder: RecorderStatus, nowMs: number): Fact[] {
  const { directory, bytesMax, bytes, files, hoursMax, rateMax, oldestMs, decisions, missed, shed, failing } =
    recorder;
  if (bytesMax === 0) return [["Recorder", "there is none: recorder.size_mib is 0"]];
  return [
    ["Kept in", <span class="code">{directory}</span>],
    ["Holds", `${byteSize(bytes)} of ${byteSize(bytesMax)} in ${count(files)} files, at most ${hoursMax} h`],
    ["Reaches back", oldestMs === null ? "nothing yet" : duration(Math.max(0, nowMs - oldestMs))],
    ["Decisions", `${count(decisions)}; at most ${count(rateMax)} a second`],
    ["Left out", `${count(missed)} missed, ${count(shed)} above the rate`],
    ...(failing === null ? [] : [["Cannot be written", failing] as const]),
  ];
}

function Live() {
  return (
    <Card id="capture" title="Capture now" note="A file of what is copied from now on.">
      <form method="get" action="/api/v1/capture" class="form">
        <label class="grow">
          <span>Filter, as tcpdump writes it</span>
          <input name="filter" class="code" placeholder="tcp port 443" autocomplete="off" />
        </label>
        <label>
          <span>Seconds</span>
          <input name="seconds" inputmode="numeric" pattern="[1-9][0-9]*" value="10" required />
        </label>
        <p class="actions">
          <button type="submit">Capture</button>
        </p>
      </form>
    </Card>
  );
}
