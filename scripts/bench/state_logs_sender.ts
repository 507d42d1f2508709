/**
 * Duty: the sender of `state_logs.ts`, in a thread of its own: numbered lines at a steady rate, and when each was sent.
 *
 * Every millisecond as many as are due, so a late timer makes a burst and no lower rate.
 */
interface Order {
  readonly transport: "udp" | "tcp";
  readonly port: number;
  readonly rate: number;
  readonly count: number;
}

const clock = () => performance.timeOrigin + performance.now();

/** The number is in the client's address and port. */
function line(number: number): string {
  const source = `10.9.${number >>> 16 & 255}.${number >>> 8 & 255}`, port = (number & 255) + 1;
  return `<13>Nov 22 10:00:00 box conntrack: [NEW] tcp      6 120 SYN_SENT src=${source} dst=10.2.0.11 sport=${port} ` +
    `dport=80 [UNREPLIED] src=10.2.0.11 dst=10.2.0.1 sport=80 dport=${port}`;
}

async function sender({ transport, port }: Order): Promise<(text: string) => Promise<unknown>> {
  const encoder = new TextEncoder();
  if (transport === "tcp") {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    return async (text) => {
      const bytes = encoder.encode(`${text}\n`);
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    };
  }
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const to = { transport: "udp", hostname: "127.0.0.1", port } as const;
  return (text) => socket.send(encoder.encode(text), to);
}

async function send(order: Order): Promise<Float64Array> {
  const put = await sender(order);
  const times = new Float64Array(order.count);
  const since = clock();
  for (let number = 0; number < order.count;) {
    const due = Math.min(order.count, Math.floor((clock() - since) * order.rate / 1000));
    while (number < due) {
      times[number] = clock();
      await put(line(number++));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return times;
}

addEventListener("message", (event) => {
  // The types know a window, of which this is none.
  const back = (self as unknown as { postMessage(times: Float64Array): void }).postMessage;
  send((event as MessageEvent<Order>).data).then((times) => back(times));
});
