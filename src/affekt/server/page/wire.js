// The server's API, as this page needs it.

const headers = () => {
  const key = document.getElementById("key").value.trim();
  return key ? { Authorization: `Bearer ${key}` } : {};
};

async function failed(answer) {
  try {
    return (await answer.json()).error.message;
  } catch {
    return `the server answered ${answer.status}`;
  }
}

export async function get(path) {
  const answer = await fetch(path, { headers: headers() });
  if (!answer.ok) throw new Error(await failed(answer));
  return answer.json();
}

// Events of a server-sent stream as they come, parsed; null at its end.
export async function* events(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { ...headers(), ...options.headers } });
  if (!answer.ok) throw new Error(await failed(answer));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "data: [DONE]") return;
      if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
    }
  }
}

export async function* chat(body, signal) {
  const options = {
    method: "POST",
    signal,
    body: JSON.stringify({ ...body, stream: true }),
    headers: { "Content-Type": "application/json" },
  };
  for await (const chunk of events("/v1/chat/completions", options)) {
    if (chunk.error) throw new Error(chunk.error.message);
    if (chunk.choices.length) yield chunk.choices[0];
  }
}
