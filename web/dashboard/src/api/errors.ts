// One form for everything that goes wrong between the page and a person.

export interface Detail {
  field: string;
  message: string;
}

/** What the coordinator refused, or why it was not reached. `status` 0: no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string = "",
    readonly details: readonly Detail[] = [],
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function detailsOf(value: unknown): Detail[] {
  if (!Array.isArray(value)) return [];
  return value
    .filter((one): one is Record<string, unknown> => typeof one === "object" && one !== null)
    .map((one) => ({ field: text(one["field"]), message: text(one["message"]) }));
}

/** Reads `{"error","message","hint","details"}`; anything else still names the status. */
export function errorOf(status: number, body: string, retryAfter: string | null): ApiError {
  const seconds = retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : null;
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
      const said = parsed as Record<string, unknown>;
      return new ApiError(
        status,
        text(said["error"]) || `http_${status}`,
        text(said["message"]) || `The coordinator answered with status ${status}.`,
        text(said["hint"]),
        detailsOf(said["details"]),
        seconds,
      );
    }
  } catch {
    // not JSON: below
  }
  const hint = "Check that the address of the API is that of a coordinator (Settings).";
  return new ApiError(status, `http_${status}`, `The server answered with status ${status}.`, hint);
}

export function unreachable(cause: unknown): ApiError {
  const why = cause instanceof Error && cause.message ? ` (${cause.message})` : "";
  return new ApiError(
    0,
    "unreachable",
    `The coordinator did not answer${why}.`,
    "Check that it runs and that this machine reaches it; the page tries again by itself.",
  );
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : unreachable(error);
}
