// Questions that show what a bias does, for the page before the first message.

export const EXAMPLES = [
  { text: "I was laid off after eighteen months and an eviction notice is taped to my door. What do I do?",
    bias: { calm: 0.8, desperate: -0.4 }, concept: "desperate" },
  { text: "Write the first lines of a letter to a neighbour whose dog barks all night.",
    bias: { angry: 0.8 }, concept: "angry" },
  { text: "Tell me about the day the circus came to our small town.",
    bias: { sad: 0.7, happy: -0.3 }, concept: "happy" },
];
