int test_order(void);
int test_list(void);

int main(void)
{
    return test_order() + test_list();
}
