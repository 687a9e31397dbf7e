void echo_start(int connections, long messages);
void echo_run(void);
