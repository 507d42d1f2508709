/** Duty: what tests with AF_XDP ports need, and whether it is here. */

/** libxdp pins what it loads below /sys/fs/bpf, so it gets one of its own. */
export const OWN_BPFFS = ["unshare", "-m", "sh", "-c", 'mount -t bpf bpf /sys/fs/bpf && exec "$@"', "sh"];

/** AF_XDP takes a frame into one page, and the kernel refuses it on larger links. */
export const XDP_FRAME_BYTES_MAX = 1514;

async function xdpFault(): Promise<string | null> {
  const { success, stderr } = await new Deno.Command(OWN_BPFFS[0]!, { args: [...OWN_BPFFS.slice(1), "true"] })
    .output();
  return success ? null : new TextDecoder().decode(stderr).trim();
}

/** Why AF_XDP cannot be used here; null: it can. */
export const XDP_FAULT = Deno.uid() === 0 ? await xdpFault() : "not root";

/** The end of a test's name. */
export const XDP_NEEDS = `(needs bpffs${XDP_FAULT === null ? "" : `: ${XDP_FAULT}`})`;
